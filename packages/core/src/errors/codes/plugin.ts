/** Codes of the plugin rooms: `E_NAME: 'one-line meaning'`. */
export const pluginCodes = {
  E_ENGINE_START: "a framework's cluster did not come up",
  E_ENGINE_ENDED: "a process of a framework's cluster ended",
  E_ENGINE_SILENT: "a node of a framework's cluster stopped answering",
  E_PLUGIN_API: 'a plugin is made for another version of the plugin contract',
  E_PLUGIN_NAMESPACE: "a plugin wants a namespace that is core's own",
  E_PLUGIN_NEEDS: 'a plugin refuses its options, cannot say what it needs, or needs what this core does not know',
  E_PLUGIN_WRAP: "a plugin's wrap did not call next() exactly once",
} as const

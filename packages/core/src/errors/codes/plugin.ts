/** Codes of the plugin rooms: `E_NAME: 'one-line meaning'`. */
export const pluginCodes = {
  E_PLUGIN_API: 'a plugin is made for another version of the plugin contract',
  E_PLUGIN_NAMESPACE: "a plugin wants a namespace that is core's own",
  E_PLUGIN_NEEDS: 'a plugin refuses its options, cannot say what it needs, or needs what this core does not know',
  E_PLUGIN_WRAP: "a plugin's wrap did not call next() exactly once",
} as const

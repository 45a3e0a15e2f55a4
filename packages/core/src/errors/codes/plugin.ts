/** Codes of the plugin rooms: `E_NAME: 'one-line meaning'`. */
export const pluginCodes = {} as const

/** Codes of the runtime rooms: `E_NAME: 'one-line meaning'`. */
export const runtimeCodes = {} as const

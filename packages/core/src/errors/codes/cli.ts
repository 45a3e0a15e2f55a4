/** Codes of the cli rooms: `E_NAME: 'one-line meaning'`. */
export const cliCodes = {} as const

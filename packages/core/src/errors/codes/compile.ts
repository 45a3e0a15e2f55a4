/** Codes of the compile rooms: `E_NAME: 'one-line meaning'`. */
export const compileCodes = {} as const

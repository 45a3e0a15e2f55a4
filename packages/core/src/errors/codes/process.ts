/** Codes of the process rooms: `E_NAME: 'one-line meaning'`. */
export const processCodes = {} as const

/** Codes of the datastore rooms: `E_NAME: 'one-line meaning'`. */
export const datastoreCodes = {} as const

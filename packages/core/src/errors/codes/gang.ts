/** Codes of the gang rooms: `E_NAME: 'one-line meaning'`. */
export const gangCodes = {} as const

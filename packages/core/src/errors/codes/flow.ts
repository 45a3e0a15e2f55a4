/** Codes of the flow rooms: `E_NAME: 'one-line meaning'`. */
export const flowCodes = {
  E_DURATION: 'a length of time that is neither milliseconds nor text such as 30s',
} as const

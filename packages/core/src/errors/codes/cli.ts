/** Codes of the cli rooms: `E_NAME: 'one-line meaning'`. */
export const cliCodes = {
  E_DEFECT: 'gangflow itself failed',
  E_USAGE: 'a command line that gangflow does not understand',
} as const

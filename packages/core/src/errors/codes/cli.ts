/** Codes of the cli rooms: `E_NAME: 'one-line meaning'`. */
export const cliCodes = {
  E_DEFECT: 'gangflow itself failed',
  E_DOCTOR_PROGRAM: 'a program that a plugin needs on every member is not on PATH',
  E_USAGE: 'a command line that gangflow does not understand',
} as const

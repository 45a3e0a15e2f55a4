import { constants } from 'node:os'

/** The name of a signal; one that has none is called by KILL, which it is like. */
export const signalName = (number: number): NodeJS.Signals =>
  (Object.entries(constants.signals).find(([, value]) => value === number)?.[0] as NodeJS.Signals | undefined) ??
  'SIGKILL'

export type { ErrorFacts, SourceLocation } from './errors/base.js'
export { GangflowError, messageOf } from './errors/base.js'
export { type Duration, milliseconds } from './errors/duration.js'
export type { Casualty, Cause, Verdict } from './errors/verdict.js'

export { type DatastoreCase, datastoreConformance } from './datastore/conformance.js'
export type { Datastore } from './datastore/contract.js'
export type { ChosenTransition } from './flow/invocation.js'
export { type RunStepOptions, type RunStepResult, runStep } from './flow/run-step.js'

export type { ChosenTransition } from './flow/invocation.js'
export { type RunStepOptions, type RunStepResult, runStep } from './flow/run-step.js'

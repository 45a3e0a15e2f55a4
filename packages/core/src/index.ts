export type { Attempt, AttemptStatus } from './client/attempt.js'
export { Client, type ClientOptions, type FlowName, type RunFilter } from './client/client.js'
export type { LogFilter, TaskLine } from './client/logs.js'
export type { GangNode } from './client/node.js'
export type { Run } from './client/run.js'
export type { Step } from './client/step.js'
export type { Task, TaskStatus } from './client/task.js'
export type { GangflowConfig } from './composition/options.js'
export { attach, resume, run } from './composition/public.js'
export { type Current, type CurrentBase, current } from './current/current.js'
export type { OnPreempt, PreemptWarning } from './current/preempt.js'
export type { Roster, RosterEntry } from './current/roster.js'
export type { EpochOpening } from './datastore/records.js'
export { decorate } from './decorators/decorate.js'
export type { GangTimeoutOptions } from './decorators/gang-timeouts.js'
export {
  type CatchErrorOptions,
  catchError,
  type EnvironmentOptions,
  environment,
  type ParallelOptions,
  parallel,
  type RetryOptions,
  resources,
  retry,
  timeout,
} from './decorators/policies.js'
export type { StepDecorator } from './decorators/protocol.js'
export { step } from './decorators/step.js'
export type { ErrorFacts, SourceLocation } from './errors/base.js'
export { GangflowError, messageOf } from './errors/base.js'
export { type Duration, milliseconds } from './errors/duration.js'
export type { Casualty, Cause, Verdict } from './errors/verdict.js'
export type { GangOptions, GangTimeouts, Resources } from './flow/description.js'
export { type ParameterOptions, parameter } from './flow/parameter.js'
export { FlowSpec } from './flow/spec.js'
export type { Artifacts, ForeachOptions, Inputs, MergeOptions, StepFunction, StepNames } from './flow/types.js'
export type { ArtifactCodec, Json } from './flow/values.js'
export type {
  CallOptions,
  Checkpoints,
  Command,
  CommandResult,
  CurrentNamespaces,
  KeyValue,
  Nodes,
  Parallel,
} from './plugin/contract.js'
export type { AttachOptions, ResumeOptions, RunEvent, RunHandle, RunOptions, RunResult } from './runtime/contract.js'

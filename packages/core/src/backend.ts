export { makeRunDirectory } from './body/run-directory.js'
export { agentCommand, encodeForAll, type NodeRuntime, nodeRuntime } from './composition/agent-command.js'
export type { Discovered } from './discovery/contract.js'
export { discover } from './discovery/discover.js'
export type { StepDescription } from './flow/description.js'
export type {
  Allocation,
  BackendFactory,
  BackendNotes,
  BackendPlace,
  Bootstrap,
  EngineEnds,
  EngineFinding,
  EngineOrder,
  GangBackend,
  GangRequest,
  Member,
} from './gang/contract.js'
export type { JobBackend, JobEnd, JobRequest, JobTask, JobWarning, SubmittedJob } from './gang/job-contract.js'
export { memberIdOf } from './gang/member-id.js'
export type { Keeper, KeptProcess, ProcessExit } from './process/contract.js'

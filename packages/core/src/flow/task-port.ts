import { GangflowError } from '../errors/base.js'
import { taskKey } from './brand.js'

/** What a flow's instance asks of the task that runs it. */
export interface TaskPort {
  next(args: readonly unknown[]): void
  mergeArtifacts(inputs: unknown, options: unknown): void
}

/** The task that runs this instance; outside of one, a named error. */
export function portOf(flow: object, what: string): TaskPort {
  const port = (flow as { [taskKey]?: TaskPort })[taskKey]
  if (port === undefined) {
    throw new GangflowError({
      code: 'E_OUTSIDE_TASK',
      what: `${what} was called on a ${flow.constructor.name} that no task runs`,
      fix: "start the flow with 'gangflow run', or one step with runStep() of @gangflow/core/testing",
    })
  }
  return port
}

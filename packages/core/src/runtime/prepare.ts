import type { StepDescription } from '../flow/description.js'
import type { Admission } from './admission.js'
import { type BodyContext, bodySpec } from './context.js'
import type { PlannedTask } from './plan.js'

type Waiting = readonly { readonly task: PlannedTask; readonly step: StepDescription }[]
type Steps = ReadonlyMap<string, StepDescription>

/** Has the bodies that come next started while this step runs. */
export function prepareNext(
  context: BodyContext,
  steps: Steps,
  step: StepDescription,
  queue: Waiting,
  room: Admission,
): void {
  const next = nextBodies(steps, step, queue, room)
  if (next) prepare(context, next.step, next.count)
}

/** Bodies of gangs are their agents' business; a debugged step, or one with devices of its own, starts its own. */
export function prepare(context: BodyContext, step: StepDescription, count: number): void {
  if (step.gang || context.inspect?.step === step.name || (step.resources.gpu ?? 0) > 0) return
  context.host.prepare(bodySpec(context, step), count)
}

/** Those of the tasks that wait, else those of the steps that follow. */
function nextBodies(steps: Steps, step: StepDescription, queue: Waiting, room: Admission) {
  const next = queue.find(({ task }) => task.gangSize === undefined)
  if (next) {
    // Who waits for a body to use again needs none of its own.
    if (next.task.reuse) return undefined
    const alike = queue.filter((other) => other.step === next.step).length
    return { step: next.step, count: Math.min(alike, room.running) }
  }
  const { transition } = step
  const to = (name: string, count: number) => ({ step: steps.get(name)!, count })
  switch (transition.kind) {
    case 'linear':
      return to(transition.target, 1)
    case 'branch':
      return to(transition.targets[0]!, Math.min(transition.targets.length, room.idle + 1))
    case 'foreach':
      return to(transition.target, room.idle + 1)
    case 'switch':
      return to(Object.values(transition.cases)[0]!, 1)
    default:
      return undefined
  }
}

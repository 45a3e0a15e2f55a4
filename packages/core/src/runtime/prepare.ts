import type { StepDescription } from '../flow/description.js'
import type { Admission } from './admission.js'
import { type BodyContext, bodySpec } from './context.js'
import type { PlannedTask } from './plan.js'

type Waiting = readonly { readonly task: PlannedTask; readonly step: StepDescription }[]
type Steps = ReadonlyMap<string, StepDescription>

/** Steps that took less are over before the next body is up: then more than one is started ahead. */
const SHORT_MS = 500
/** Bodies started ahead in a chain of short steps, at most. */
const AHEAD = 4

/** Has the bodies that come next started while this step runs: those of the tasks that wait, else of what follows. */
export function prepareNext(
  context: BodyContext,
  steps: Steps,
  step: StepDescription,
  queue: Waiting,
  room: Admission,
  lastMs: number,
): void {
  const next = queue.find(({ task }) => task.gangSize === undefined)
  if (next) {
    const alike = queue.slice(0, 4 * room.running).filter((other) => other.step === next.step).length
    // Who waits for a body to use again needs none of its own.
    if (!next.task.reuse) prepare(context, next.step, Math.min(alike, room.running))
  } else prepareAfter(context, steps, step, room, lastMs < SHORT_MS ? Math.min(AHEAD, room.workers) : 1)
}

/** Bodies of gangs are their agents' business; a debugged step, or one with devices of its own, starts its own. */
export function prepare(context: BodyContext, step: StepDescription, count: number): void {
  if (startsItsOwn(context, step)) return
  context.host.prepare(bodySpec(context, step), count)
}

/** The run's first body, and in a chain the one after it. */
export function prepareFirst(context: BodyContext, steps: Steps, step: StepDescription): void {
  prepareChain(context, [step, ...chainAfter(steps, step, 1)])
}

function prepareAfter(context: BodyContext, steps: Steps, step: StepDescription, room: Admission, depth: number): void {
  const { transition } = step
  if (transition.kind === 'branch') {
    const { targets } = transition
    prepare(context, steps.get(targets[0]!)!, Math.min(targets.length, room.idle + 1))
  } else if (transition.kind === 'foreach') prepare(context, steps.get(transition.target)!, room.idle + 1)
  else prepareChain(context, chainAfter(steps, step, depth))
}

/** The first of the steps, and those after it that need an equal process. */
function prepareChain(context: BodyContext, [first, ...others]: readonly StepDescription[]): void {
  if (!first || startsItsOwn(context, first)) return
  const spec = bodySpec(context, first)
  const other = others.findIndex((step) => startsItsOwn(context, step) || bodySpec(context, step) !== spec)
  context.host.prepare(spec, 1 + (other === -1 ? others.length : other))
}

/** The steps that follow one after the other; of a switch the first case. */
function chainAfter(steps: Steps, step: StepDescription, depth: number): StepDescription[] {
  const chain: StepDescription[] = []
  for (let at = step; chain.length < depth; ) {
    const { transition } = at
    const next =
      transition.kind === 'linear'
        ? transition.target
        : transition.kind === 'switch'
          ? Object.values(transition.cases)[0]
          : undefined
    if (next === undefined) break
    at = steps.get(next)!
    chain.push(at)
  }
  return chain
}

function startsItsOwn({ inspect }: BodyContext, step: StepDescription): boolean {
  return step.gang !== undefined || inspect?.step === step.name || (step.resources.gpu ?? 0) > 0
}

import type { DoneRecord, TaskRecord, TaskRef } from '../datastore/records.js'
import type { FlowDescription } from '../flow/description.js'
import { keyOf, Plan, type PlannedTask, positionOf } from './plan.js'
import { transitionProblem } from './transition.js'

/** A finished task of the run that is resumed. */
export interface OriginTask {
  readonly spec: TaskRecord
  readonly done: DoneRecord
}

/** A task taken over: as planned in the new run, and where it comes from. */
export interface ReusedTask {
  readonly planned: PlannedTask
  readonly origin: OriginTask
}

export interface ResumePlan {
  readonly plan: Plan
  readonly reused: readonly ReusedTask[]
  /** What is to run first. */
  readonly ready: readonly PlannedTask[]
}

/**
 * Walks the new run's graph over the finished tasks of the origin. A task is taken over when its step has the same
 * shape as then, all its parents were taken over, and it is not of the step to begin again `from`. A gang is one task,
 * so it is taken whole or not at all.
 */
export function planResume(
  description: FlowDescription,
  origin: { readonly description: FlowDescription; readonly tasks: readonly OriginTask[] },
  from?: string,
): ResumePlan {
  const steps = new Map(description.steps.map((step) => [step.name, step]))
  const shapes = new Map(origin.description.steps.map((step) => [step.name, step.shape]))
  const reusable = (task: PlannedTask, match: OriginTask) => {
    const step = steps.get(task.step)!
    return shapes.get(step.name) === step.shape && transitionProblem(step, match.done.transition) === undefined
  }
  const found = new Map(origin.tasks.map((task) => [positionOf(task.spec, task.spec.parents), task]))
  /** New task → the origin's task id of the same step. */
  const taken = new Map<string, string>()
  const plan = new Plan(description)
  const reused: ReusedTask[] = []
  const ready: PlannedTask[] = []
  const queue = [...plan.start()]
  for (let next = 0; next < queue.length; next++) {
    const planned = queue[next]!
    const match = planned.step === from ? undefined : find(planned, found, taken)
    if (!match || !reusable(planned, match)) {
      ready.push(planned)
      continue
    }
    taken.set(keyOf(planned), match.spec.task)
    reused.push({ planned, origin: match })
    queue.push(...plan.complete(planned, match.done))
  }
  return { plan, reused, ready }
}

function find(planned: PlannedTask, found: ReadonlyMap<string, OriginTask>, taken: ReadonlyMap<string, string>) {
  const parents: TaskRef[] = []
  for (const parent of planned.parents) {
    const task = taken.get(keyOf(parent))
    if (task === undefined) return undefined
    parents.push({ ...parent, task })
  }
  const match = found.get(positionOf(planned, parents))
  return match && match.spec.gangSize === planned.gangSize ? match : undefined
}

import type { ArtifactRef } from '../datastore/contract.js'
import type { DoneRecord, Frame, StoredTransition, TaskRecord, TaskRef } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { FlowDescription, StepDescription } from '../flow/description.js'
import { transitionProblem } from './transition.js'

/** A task that is to run now: what its TaskRecord will say, without the clock. */
export interface PlannedTask {
  readonly step: string
  readonly task: string
  readonly parents: readonly TaskRef[]
  readonly frames: readonly Frame[]
  readonly item?: ArtifactRef
  readonly gangSize?: number
  /** A body that ended cleanly on this step may take it: the target of a foreach with `reuse`. */
  readonly reuse?: boolean
}

/** What the plan needs to know of a finished task. */
export type Finished = Pick<DoneRecord, 'transition' | 'nodes'>

/**
 * The state machine of a run's graph: told which tasks are done, it says which are to run next. No I/O, no clock;
 * the same completions in the same order give the same tasks with the same ids.
 *
 * A task's id counts the tasks of its step (`fit/3`), so a step that a switch leads back to has one id per visit.
 * A split pushes a frame; the join that its branches reach pops it and runs when every sibling has arrived.
 */
export class Plan {
  private readonly steps: ReadonlyMap<string, StepDescription>
  private readonly counters = new Map<string, number>()
  private readonly open = new Map<string, PlannedTask>()
  /** Arrivals at the join of each split task, by frame index. */
  private readonly joins = new Map<string, { join: string; left: number; arrived: (TaskRef | undefined)[] }>()
  private ended = false

  /** @param known ids that tasks have had before, by `positionOf`: of a run that goes on. */
  constructor(
    description: FlowDescription,
    private readonly known: ReadonlyMap<string, { readonly step: string; readonly task: string }> = new Map(),
  ) {
    this.steps = new Map(description.steps.map((step) => [step.name, step]))
    for (const { step, task } of known.values())
      this.counters.set(step, Math.max(this.counters.get(step) ?? 0, Number(task)))
  }

  /** The first task; call once. */
  start(): readonly PlannedTask[] {
    return [this.task({ step: 'start', parents: [], frames: [] })]
  }

  /** True when the end step is done and nothing is left. */
  get finished(): boolean {
    return this.ended && this.open.size === 0
  }

  /** Tasks given out and not yet completed. */
  get pending(): number {
    return this.open.size
  }

  /** The id that the next task of a step gets. */
  nextOf(step: string): string {
    return String((this.counters.get(step) ?? 0) + 1)
  }

  /** Records that a task is done; the tasks that may run because of it. */
  complete(ref: TaskRef, finished: Finished): readonly PlannedTask[] {
    const key = keyOf(ref)
    const task = this.open.get(key)
    if (!task) throw broken(`task ${key} was completed, but is not open`)
    const problem = transitionProblem(this.step(task.step), finished.transition)
    if (problem) throw new GangflowError({ ...problem, step: task.step })
    this.open.delete(key)
    return this.follow(task, finished)
  }

  private follow(task: PlannedTask, { transition, nodes }: Finished): readonly PlannedTask[] {
    switch (transition.kind) {
      case 'end':
        this.ended = true
        return []
      case 'foreach':
        return this.foreach(task, transition)
      case 'gang':
        return [this.task({ ...this.after(task, transition.target), gangSize: transition.size })]
      case 'next':
        break
    }
    const [target] = transition.targets
    if (task.gangSize !== undefined) {
      const members = nodes?.map((node) => node.node) ?? [...Array(task.gangSize).keys()]
      const parents = members.map((node) => ({ step: task.step, task: task.task, node }))
      return [this.task({ step: target!, parents, frames: task.frames })]
    }
    if (transition.targets.length > 1) {
      const size = transition.targets.length
      return transition.targets.flatMap((branch, index) => {
        const frame: Frame = { kind: 'branch', step: task.step, task: task.task, index, size, branch }
        return this.advance(task, branch, [...task.frames, frame])
      })
    }
    return this.advance(task, target!, task.frames)
  }

  private foreach(task: PlannedTask, { target, items, reuse }: StoredTransition & { kind: 'foreach' }): PlannedTask[] {
    return items.map((item, index) => {
      const frame: Frame = { kind: 'foreach', step: task.step, task: task.task, index, size: items.length }
      const frames = [...task.frames, frame]
      return this.task({ ...this.after(task, target), frames, item, ...(reuse ? { reuse } : {}) })
    })
  }

  /** To a step of the same frames, or to the join that closes the innermost. */
  private advance(task: PlannedTask, target: string, frames: readonly Frame[]): readonly PlannedTask[] {
    if (!this.step(target).join) return [this.task({ ...this.after(task, target), frames })]
    const frame = frames.at(-1)
    if (!frame) throw broken(`step '${target}' joins, but '${task.step}' is in no split`)
    const split = keyOf(frame)
    const waiting = this.joins.get(split) ?? { join: target, left: frame.size, arrived: [] }
    if (waiting.join !== target) throw broken(`'${split}' is joined by both '${waiting.join}' and '${target}'`)
    waiting.arrived[frame.index] = { step: task.step, task: task.task }
    waiting.left -= 1
    this.joins.set(split, waiting)
    if (waiting.left > 0) return []
    this.joins.delete(split)
    return [this.task({ step: target, parents: waiting.arrived as TaskRef[], frames: frames.slice(0, -1) })]
  }

  private after(task: PlannedTask, step: string) {
    return { step, parents: [{ step: task.step, task: task.task }], frames: task.frames }
  }

  private task(planned: Omit<PlannedTask, 'task'>): PlannedTask {
    this.step(planned.step)
    const before = this.known.get(positionOf(planned, planned.parents))
    const task = { ...planned, task: before?.task ?? this.nextOf(planned.step) }
    if (!before) this.counters.set(planned.step, Number(task.task))
    this.open.set(keyOf(task), task)
    return task
  }

  private step(name: string): StepDescription {
    const step = this.steps.get(name)
    if (!step) throw broken(`there is no step '${name}'`)
    return step
  }
}

/** What tells a task from all others of its run: its step, its parents, and its place among its siblings. */
export const positionOf = (task: Pick<TaskRecord, 'step' | 'frames'>, parents: readonly TaskRef[]): string =>
  `${task.step}|${parents.map((p) => `${keyOf(p)}:${p.node ?? ''}`).join(',')}|${task.frames.at(-1)?.index ?? ''}`

/** `step/task`. */
export const keyOf = (ref: { readonly step: string; readonly task: string }): string => `${ref.step}/${ref.task}`

const broken = (what: string) =>
  new GangflowError({
    code: 'E_RUN_GRAPH',
    what: `the run does not fit the flow's graph: ${what}`,
    fix: "check the flow with 'gangflow check'; if it finds nothing, this is a fault of gangflow: please report it",
  })

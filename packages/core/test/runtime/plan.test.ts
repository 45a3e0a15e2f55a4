import { describe, expect, it } from 'vitest'
import { random } from '../../../../tests/support/random.js'
import type { DoneRecord, TaskRecord } from '../../src/datastore/records.js'
import type { FlowDescription } from '../../src/flow/description.js'
import { keyOf, Plan, type PlannedTask } from '../../src/runtime/plan.js'
import { type OriginTask, planResume } from '../../src/runtime/reuse.js'
import {
  choose,
  describeFlow,
  type Execution,
  interpret,
  itemRef,
  randomProgram,
  stepOf,
  toDescription,
} from './random-flow.js'

const done = (transition: DoneRecord['transition']): DoneRecord => ({
  attempt: 1,
  epoch: 1,
  startedAt: 0,
  endedAt: 0,
  artifacts: {},
  transition,
})

/** Completes open tasks in random order until nothing is left or `limit` tasks are done. */
function drive(
  description: FlowDescription,
  seed: number,
  rand: () => number,
  plan: Plan,
  ready: readonly PlannedTask[],
  limit = Infinity,
) {
  const steps = new Map(description.steps.map((step) => [step.name, step]))
  const names = new Map<string, string>()
  const visits = new Map<string, number>()
  const executions: Execution[] = []
  const finished: OriginTask[] = []
  const open = [...ready]
  const introduce = (task: PlannedTask) => {
    const path = task.frames.map((frame) => `/${frame.step}:${frame.index}`).join('')
    const place = `${task.step}@${path}`
    const visit = (visits.get(place) ?? 0) + 1
    visits.set(place, visit)
    names.set(keyOf(task), `${place}#${visit}`)
    const parents = task.parents.map((p) => `${names.get(keyOf(p))}${p.node === undefined ? '' : `!${p.node}`}`)
    executions.push({ step: task.step, path, visit, parents })
    return { path, visit }
  }
  while (open.length > 0 && finished.length < limit) {
    const [task] = open.splice(Math.floor(rand() * open.length), 1)
    const { path, visit } = introduce(task!)
    const record = done(choose(seed, steps.get(task!.step)!, path, visit))
    finished.push({ spec: { ...task!, createdAt: 0 } as TaskRecord, done: record })
    open.push(...plan.complete(task!, record))
  }
  return { executions, finished, open, names }
}

/** One test over many random flows; a failure names its seed. */
const seeds = (count: number, name: string, check: (seed: number) => void) =>
  it(`${name} (${count} random flows)`, () => {
    for (let seed = 0; seed < count; seed++) {
      try {
        check(seed)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
  })

const sorted = (executions: readonly Execution[]) => executions.map((execution) => JSON.stringify(execution)).sort()

describe('plan', () => {
  seeds(300, 'runs what a naive interpreter runs, in any order', (seed) => {
    const rand = random(seed)
    const program = randomProgram(rand)
    const description = toDescription(program)
    const plan = new Plan(description)
    const { executions, finished } = drive(description, seed, rand, plan, plan.start())
    expect(sorted(executions)).toEqual(sorted(interpret(program, seed)))
    expect(plan.finished).toBe(true)
    expect(new Set(finished.map(({ spec }) => keyOf(spec))).size).toBe(finished.length)
  })

  seeds(150, 'takes over every finished task of a run stopped anywhere', (seed) => {
    const rand = random(seed + 10_000)
    const program = randomProgram(rand)
    const description = toDescription(program)
    const first = new Plan(description)
    const total = interpret(program, seed).length
    const stopped = drive(description, seed, rand, first, first.start(), Math.floor(rand() * total))
    const resumed = planResume(description, { description, tasks: stopped.finished })
    expect(resumed.reused.length).toBe(stopped.finished.length)
    expect(resumed.ready.length).toBe(stopped.open.length)
    expect(resumed.plan.finished).toBe(false)
    let rest = [...resumed.ready]
    let count = resumed.reused.length
    const visits = new Map<string, number>()
    for (const { planned } of resumed.reused) visits.set(planned.step, (visits.get(planned.step) ?? 0) + 1)
    while (rest.length > 0) {
      const task = rest.shift()!
      count += 1
      // Loops end here at once, foreach and gangs have one item: only completeness is looked at.
      const step = description.steps.find(({ name }) => name === task.step)!
      const { transition } = step
      const next =
        transition.kind === 'switch'
          ? { kind: 'next' as const, targets: [transition.cases['out'] ?? transition.cases['0']!] }
          : choose(seed, step, '', 1)
      rest = [...rest, ...resumed.plan.complete(task, done(next))]
    }
    expect(resumed.plan.finished).toBe(true)
    expect(count).toBeGreaterThan(resumed.reused.length)
  })

  seeds(100, 'begins again from a step: neither it nor what follows is taken over', (seed) => {
    const rand = random(seed + 20_000)
    const program = randomProgram(rand)
    const description = toDescription(program)
    const first = new Plan(description)
    const whole = drive(description, seed, rand, first, first.start())
    const ran = [...new Set(whole.finished.map(({ spec }) => spec.step))]
    const from = ran[Math.floor(rand() * ran.length)]!
    const { reused, ready } = planResume(description, { description, tasks: whole.finished }, from)
    const taken = new Set(reused.map(({ planned }) => keyOf(planned)))
    expect(reused.some(({ planned }) => planned.step === from)).toBe(false)
    for (const { planned } of reused) for (const parent of planned.parents) expect(taken.has(keyOf(parent))).toBe(true)
    // In the origin, a task was left out exactly when it is of that step or descends from one.
    const left = new Set<string>()
    for (const { spec } of whole.finished)
      if (spec.step === from || spec.parents.some((parent) => left.has(keyOf(parent)))) left.add(keyOf(spec))
    expect(reused.length).toBe(whole.finished.length - left.size)
    expect(ready.every(({ step }) => step === from)).toBe(true)
  })

  it('does not take over a step whose shape changed, nor a gang of another size', () => {
    const steps = [
      stepOf('start', { kind: 'gang', target: 'm', size: null }),
      stepOf('m', { kind: 'linear', target: 'j' }),
      stepOf('j', { kind: 'linear', target: 'end' }, true),
      stepOf('end', { kind: 'end' }),
    ]
    const description = describeFlow(steps)
    const plan = new Plan(description)
    const { finished } = drive(description, 1, random(1), plan, plan.start())
    const changed = describeFlow(steps.map((step) => (step.name === 'j' ? { ...step, shape: 'other' } : step)))
    const kept = planResume(changed, { description, tasks: finished })
    expect(kept.reused.map(({ planned }) => planned.step)).toEqual(['start', 'm'])
    const other = finished.map((task) =>
      task.spec.step === 'm' ? { ...task, spec: { ...task.spec, gangSize: 99 } } : task,
    )
    expect(planResume(description, { description, tasks: other }).ready.map(({ step }) => step)).toEqual(['m'])
  })

  it('refuses an empty foreach, a gang of none, and a way that the source does not have', () => {
    const description = describeFlow([
      stepOf('start', { kind: 'foreach', target: 'fit', artifact: 'files', reuse: false }),
      stepOf('fit', { kind: 'gang', target: 'm', size: null }),
      stepOf('m', { kind: 'linear', target: 'j' }),
      stepOf('j', { kind: 'linear', target: 'join' }, true),
      stepOf('join', { kind: 'linear', target: 'end' }, true),
      stepOf('end', { kind: 'end' }),
    ])
    const plan = new Plan(description)
    const [start] = plan.start()
    expect(() => plan.complete(start!, done({ kind: 'foreach', target: 'fit', items: [] }))).toThrow(
      /step 'start' splits over 'files', which is empty/,
    )
    expect(() => plan.complete(start!, done({ kind: 'next', targets: ['fit'] }))).toThrow(/another way/)
    const [fit] = plan.complete(start!, done({ kind: 'foreach', target: 'fit', items: [itemRef(0)] }))
    expect(() => plan.complete(fit!, done({ kind: 'gang', target: 'm', size: 0 }))).toThrow(/asks for 0 members/)
    expect(() => plan.complete({ step: 'm', task: '1' }, done({ kind: 'end' }))).toThrow(/not open/)
  })

  it('passes items, reuse and gang sizes on, and gives a join of a gang its nodes in order', () => {
    const description = describeFlow([
      stepOf('start', { kind: 'foreach', target: 'fit', artifact: 'xs', reuse: true }),
      stepOf('fit', { kind: 'gang', target: 'm', size: 2 }),
      stepOf('m', { kind: 'linear', target: 'j' }),
      stepOf('j', { kind: 'linear', target: 'join' }, true),
      stepOf('join', { kind: 'linear', target: 'end' }, true),
      stepOf('end', { kind: 'end' }),
    ])
    const plan = new Plan(description)
    const [start] = plan.start()
    const fits = plan.complete(
      start!,
      done({ kind: 'foreach', target: 'fit', items: [itemRef(0), itemRef(1)], reuse: true }),
    )
    expect(fits.map(({ task, item, reuse }) => [task, item, reuse])).toEqual([
      ['1', itemRef(0), true],
      ['2', itemRef(1), true],
    ])
    const [m] = plan.complete(fits[1]!, done({ kind: 'gang', target: 'm', size: 2 }))
    expect(m!.gangSize).toBe(2)
    const [j] = plan.complete(m!, done({ kind: 'next', targets: ['j'] }))
    expect(j!.parents).toEqual([
      { step: 'm', task: '1', node: 0 },
      { step: 'm', task: '1', node: 1 },
    ])
    expect(j!.frames).toEqual(fits[1]!.frames)
  })
})

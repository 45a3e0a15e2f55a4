import { random } from '../../../../tests/support/random.js'
import type { ArtifactRef } from '../../src/datastore/contract.js'
import type { StoredTransition } from '../../src/datastore/records.js'
import type { FlowDescription, StepDescription, Transition } from '../../src/flow/description.js'

/** A series-parallel program: what a flow means, before it is a graph. */
export type Block =
  | { readonly kind: 'step'; readonly name: string }
  | { readonly kind: 'branch'; readonly name: string; readonly bodies: readonly Block[][]; readonly join: string }
  | { readonly kind: 'foreach'; readonly name: string; readonly body: Block[]; readonly join: string }
  | { readonly kind: 'gang'; readonly name: string; readonly gang: string; readonly join: string }
  | { readonly kind: 'switch'; readonly name: string; readonly cases: readonly Block[][] }
  | { readonly kind: 'loop'; readonly name: string; readonly body: Block[]; readonly tail: string }

export function randomProgram(rand: () => number): Block[] {
  let count = 0
  const name = (prefix: string) => `${prefix}${++count}`
  const block = (depth: number): Block => {
    const roll = depth <= 0 ? 0 : rand()
    if (roll < 0.35) return { kind: 'step', name: name('s') }
    if (roll < 0.5)
      return { kind: 'branch', name: name('b'), bodies: [series(depth - 1), series(depth - 1)], join: name('j') }
    if (roll < 0.7) return { kind: 'foreach', name: name('f'), body: series(depth - 1), join: name('j') }
    if (roll < 0.8) return { kind: 'gang', name: name('g'), gang: name('m'), join: name('j') }
    if (roll < 0.9) return { kind: 'switch', name: name('c'), cases: [series(depth - 1), series(depth - 1)] }
    return { kind: 'loop', name: name('l'), body: series(depth - 1), tail: name('t') }
  }
  const series = (depth: number): Block[] => Array.from({ length: 1 + Math.floor(rand() * 2) }, () => block(depth))
  return [{ kind: 'step', name: 'start' }, ...series(3), { kind: 'step', name: 'end' }]
}

const stepOf = (name: string, transition: Transition, join = false): StepDescription => ({
  name,
  location: { file: '/flow.ts', line: 1 },
  shape: JSON.stringify([name, transition]),
  transition,
  join,
  from: [],
  resources: {},
  environment: {},
  plugins: [],
})

export function describeFlow(steps: readonly StepDescription[]): FlowDescription {
  return { protocol: 1, name: 'Random', file: '/flow.ts', parameters: [], steps, complaints: [] }
}

export { stepOf }

/** The program as the graph that `describe` would give. */
export function toDescription(program: readonly Block[]): FlowDescription {
  const steps: StepDescription[] = []
  const linear = (target: string | undefined): Transition =>
    target === undefined ? { kind: 'end' } : { kind: 'linear', target }
  const series = (blocks: readonly Block[], next: string | undefined): string => {
    let entry = next
    for (const block of [...blocks].reverse()) entry = build(block, entry)
    return entry!
  }
  const build = (block: Block, next: string | undefined): string => {
    switch (block.kind) {
      case 'step':
        steps.push(stepOf(block.name, linear(next)))
        break
      case 'branch': {
        const targets = block.bodies.map((body) => series(body, block.join))
        steps.push(stepOf(block.name, { kind: 'branch', targets }), stepOf(block.join, linear(next), true))
        break
      }
      case 'foreach': {
        const target = series(block.body, block.join)
        steps.push(stepOf(block.name, { kind: 'foreach', target, artifact: 'items', reuse: false }))
        steps.push(stepOf(block.join, linear(next), true))
        break
      }
      case 'gang':
        steps.push(stepOf(block.name, { kind: 'gang', target: block.gang, size: null }))
        steps.push(stepOf(block.gang, { kind: 'linear', target: block.join }), stepOf(block.join, linear(next), true))
        break
      case 'switch': {
        const cases = Object.fromEntries(block.cases.map((body, index) => [String(index), series(body, next)]))
        steps.push(stepOf(block.name, { kind: 'switch', cases, condition: 'choice' }))
        break
      }
      case 'loop': {
        const body = series(block.body, block.tail)
        steps.push(stepOf(block.name, { kind: 'linear', target: body }))
        steps.push(stepOf(block.tail, { kind: 'switch', cases: { again: block.name, out: next! }, condition: 'again' }))
        break
      }
    }
    return block.name
  }
  series(program, undefined)
  return describeFlow(steps)
}

/** What the steps compute, as a pure function of where they are: `path` is the frames, `visit` counts from 1. */
export function decide(seed: number, what: string, path: string, visit: number): number {
  let hash = seed
  for (const char of `${what}|${path}|${visit}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return random(hash)()
}

export const itemRef = (index: number): ArtifactRef => ({
  hash: String(index).padStart(64, '0'),
  size: 1,
  codec: 'cbor',
  type: 'number',
})

export const sizeOf = (seed: number, step: string, path: string, visit: number) =>
  1 + Math.floor(decide(seed, step, path, visit) * 3)

/** The transition that a step of the graph takes. */
export function choose(seed: number, step: StepDescription, path: string, visit: number): StoredTransition {
  const { transition } = step
  switch (transition.kind) {
    case 'end':
      return { kind: 'end' }
    case 'linear':
      return { kind: 'next', targets: [transition.target] }
    case 'branch':
      return { kind: 'next', targets: transition.targets }
    case 'foreach': {
      const items = Array.from({ length: sizeOf(seed, step.name, path, visit) }, (_, index) => itemRef(index))
      return { kind: 'foreach', target: transition.target, items }
    }
    case 'gang':
      return { kind: 'gang', target: transition.target, size: sizeOf(seed, step.name, path, visit) }
    case 'switch': {
      const again = transition.condition === 'again'
      const roll = decide(seed, step.name, path, visit)
      const key = again ? (visit % 3 !== 0 && roll < 0.6 ? 'again' : 'out') : roll < 0.5 ? '0' : '1'
      return { kind: 'next', targets: [transition.cases[key]!] }
    }
  }
}

/** One execution as both sides name it. */
export interface Execution {
  readonly step: string
  readonly path: string
  readonly visit: number
  readonly parents: readonly string[]
}

/** Runs the program the obvious way: one block after the other, by recursion. */
export function interpret(program: readonly Block[], seed: number): Execution[] {
  const executions: Execution[] = []
  const visits = new Map<string, number>()
  const run = (step: string, path: string, parents: readonly string[]): { visit: number; ref: string } => {
    const place = `${step}@${path}`
    const visit = (visits.get(place) ?? 0) + 1
    visits.set(place, visit)
    executions.push({ step, path, visit, parents })
    return { visit, ref: `${place}#${visit}` }
  }
  const series = (blocks: readonly Block[], path: string, from: readonly string[]): readonly string[] => {
    let parents = from
    for (const block of blocks) parents = one(block, path, parents)
    return parents
  }
  const one = (block: Block, path: string, parents: readonly string[]): readonly string[] => {
    const { visit, ref } = run(block.name, path, parents)
    switch (block.kind) {
      case 'step':
        return [ref]
      case 'branch': {
        const ends = block.bodies.flatMap((body, index) => series(body, `${path}/${block.name}:${index}`, [ref]))
        return [run(block.join, path, ends).ref]
      }
      case 'foreach': {
        const indexes = [...Array(sizeOf(seed, block.name, path, visit)).keys()]
        const ends = indexes.flatMap((index) => series(block.body, `${path}/${block.name}:${index}`, [ref]))
        return [run(block.join, path, ends).ref]
      }
      case 'gang': {
        const gang = run(block.gang, path, [ref]).ref
        const nodes = [...Array(sizeOf(seed, block.name, path, visit)).keys()].map((node) => `${gang}!${node}`)
        return [run(block.join, path, nodes).ref]
      }
      case 'switch':
        return series(block.cases[decide(seed, block.name, path, visit) < 0.5 ? 0 : 1]!, path, [ref])
      case 'loop': {
        const tail = run(block.tail, path, series(block.body, path, [ref]))
        const again = tail.visit % 3 !== 0 && decide(seed, block.tail, path, tail.visit) < 0.6
        return again ? one(block, path, [tail.ref]) : [tail.ref]
      }
    }
  }
  series(program, '', [])
  return executions
}

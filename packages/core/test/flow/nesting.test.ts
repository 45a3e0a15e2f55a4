import { describe, expect, it } from 'vitest'
import { collectComplaints } from '../../src/flow/complain.js'
import type { Transition } from '../../src/flow/description.js'
import { type GraphStep, targetsOf } from '../../src/flow/graph.js'
import { checkGraph } from '../../src/flow/validate.js'

/** A small generator of pseudo-random numbers, so that a failure can be repeated by its seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** A sound graph of nested splits and switches, with the split that each join closes. */
function soundGraph(seed: number): { steps: Map<string, GraphStep>; closes: Map<string, string> } {
  const random = randomOf(seed)
  const steps = new Map<string, GraphStep>()
  const closes = new Map<string, string>()
  let count = 0
  const fresh = () => `s${++count}`
  const set = (name: string, parameters: number, transition: Transition) =>
    steps.set(name, { name, parameters, transition })

  /** Writes steps from `entry` on that end by leading to `exit`. */
  const fill = (entry: string, parameters: number, exit: string, depth: number): unknown => {
    const kind = depth === 0 ? 0 : random(6)
    if (kind === 0) return set(entry, parameters, { kind: 'linear', target: exit })
    const after = fresh()
    if (kind === 1) {
      set(entry, parameters, { kind: 'linear', target: after })
      return fill(after, 0, exit, depth - 1)
    }
    if (kind === 5) {
      // A switch of two or three ways that meet again; one may lead back to where it began.
      const ways = Array.from({ length: 2 + random(2) }, fresh)
      const back = parameters === 0 && random(2) === 0
      const cases = Object.fromEntries([...ways.map((way) => [way, way]), ...(back ? [['back', entry]] : [])])
      set(entry, parameters, { kind: 'switch', cases, condition: 'x' })
      for (const way of ways) fill(way, 0, after, depth - 1)
      return fill(after, 0, exit, depth - 1)
    }
    const arms = Array.from({ length: kind === 2 ? 2 + random(2) : 1 }, fresh)
    const [arm] = arms as [string]
    closes.set(after, entry)
    if (kind === 2) set(entry, parameters, { kind: 'branch', targets: arms })
    if (kind === 3) set(entry, parameters, { kind: 'foreach', target: arm, artifact: 'items', reuse: false })
    if (kind === 4) {
      set(entry, parameters, { kind: 'gang', target: arm, size: 2 })
      set(arm, 0, { kind: 'linear', target: after })
    } else for (const one of arms) fill(one, kind === 3 ? random(2) : 0, after, depth - 1)
    return fill(after, 1, exit, depth - 1)
  }
  fill('start', 0, 'end', 5)
  set('end', 0, { kind: 'end' })
  return { steps, closes }
}

function check(steps: Map<string, GraphStep>) {
  const complaints = collectComplaints(() => undefined)
  const { closes, isJoin } = checkGraph(steps, new Set(), complaints)
  return { complaints: complaints.list, closes, isJoin }
}

describe('checking generated graphs', () => {
  it('finds nothing wrong with 300 sound ones, and which split each join closes', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const { steps, closes } = soundGraph(seed)
      const found = check(steps)
      expect(found.complaints, `seed ${seed}`).toEqual([])
      expect(Object.fromEntries(found.closes), `seed ${seed}`).toEqual(Object.fromEntries(closes))
      for (const name of steps.keys()) expect(found.isJoin(name), `seed ${seed}, ${name}`).toBe(closes.has(name))
    }
  })

  it('finds a join whose inputs were forgotten, and one that leads past the join, in each', () => {
    let joins = 0
    for (let seed = 1; seed <= 80; seed++) {
      const { steps, closes } = soundGraph(seed)
      for (const join of closes.keys()) {
        joins++
        const forgotten = new Map(steps).set(join, { ...steps.get(join)!, parameters: 0 })
        expect(check(forgotten).complaints, `seed ${seed}, ${join}`).not.toEqual([])
        const from = [...steps.values()].find(
          ({ transition }) => transition?.kind === 'linear' && transition.target === join,
        )
        if (!from || targetsOf(steps.get(join)!.transition).includes('end')) continue
        const past = new Map(steps).set(from.name, { ...from, transition: { kind: 'linear', target: 'end' } })
        expect(check(past).complaints, `seed ${seed}, past ${join}`).not.toEqual([])
      }
    }
    expect(joins).toBeGreaterThan(50)
  })
})

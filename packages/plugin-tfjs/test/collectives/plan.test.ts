import { describe, expect, it } from 'vitest'
import { neighbours, passes, ringOf, roundsOf } from '../../src/collectives/plan.js'
import type { CallShape, Operation } from '../../src/collectives/shape.js'

/** Every element is the list of ranks whose share it holds, so that what is joined twice or never is seen. */
type Cell = string
const sizes = [2, 3, 4, 5, 6, 7, 8, 9, 16, 17]
const call = (operation: Operation, length: number, from = 0): CallShape => ({
  operation,
  kind: 'uint8',
  length,
  reduction: 'sum',
  from,
})

/** Performs a ring as the engine does, all bytes of a segment at once. */
function ring(shape: CallShape, size: number, start: (rank: number, at: number) => Cell, length: number): Cell[][] {
  const work = Array.from({ length: size }, (_, rank) => Array.from({ length }, (_, at) => start(rank, at)))
  const wires: Cell[][] = work.map(() => [])
  const plans = work.map((_, rank) => ringOf(shape, rank, size))
  const left = plans.map(({ incoming }) => [...incoming])
  for (const [rank, { first }] of plans.entries())
    wires[rank]!.push(...work[rank]!.slice(first.at, first.at + first.bytes))
  for (let moved = true; moved; ) {
    moved = false
    for (let rank = 0; rank < size; rank++) {
      const segment = left[rank]![0]
      const wire = wires[(rank + size - 1) % size]!
      if (!segment || wire.length < segment.bytes) continue
      left[rank]!.shift()
      moved = true
      wire.splice(0, segment.bytes).forEach((cell, index) => {
        const mine = work[rank]!
        const at = segment.at + index
        mine[at] = segment.mode === 'copy' ? cell : [...mine[at]!, ...cell].sort().join('')
        if (segment.forward) wires[rank]!.push(mine[at]!)
      })
    }
  }
  expect(left.flat()).toEqual([])
  expect(wires.flat()).toEqual([])
  return work
}

describe('the ring', () => {
  const name = (rank: number) => String.fromCharCode(97 + rank)
  const whole = (size: number) => Array.from({ length: size }, (_, rank) => name(rank)).join('')

  it.each(sizes)('of %d ranks moves every byte once where it belongs', (size) => {
    for (const length of [0, 1, size - 1, size, 3 * size + 1]) {
      for (const work of ring(call('allReduce', length), size, name, length))
        expect(work).toEqual(Array(length).fill(whole(size)))
      const gathered = ring(
        call('allGather', length),
        size,
        (rank, at) => (Math.floor(at / length) === rank ? `${rank}.${at}` : '?'),
        length * size,
      )
      for (const work of gathered) expect(work).toEqual(gathered[0]!.map((_, at) => `${Math.floor(at / length)}.${at}`))
      const from = size - 2
      for (const work of ring(call('broadcast', length, from), size, name, length))
        expect(work).toEqual(Array(length).fill(name(from)))
      ring(call('reduceScatter', length), size, name, length).forEach((work, rank) => {
        const least = Math.floor(length / size)
        const begin = rank * least + Math.min(rank, length % size)
        const end = begin + least + (rank < length % size ? 1 : 0)
        expect(work.slice(begin, end)).toEqual(Array(end - begin).fill(whole(size)))
      })
    }
  })
})

describe('doubling', () => {
  it.each([...sizes, 33])('of %d ranks: everyone ends with all, joined in one order', (size) => {
    const rounds = Array.from({ length: size }, (_, rank) => [...roundsOf(rank, size)])
    const holds = rounds.map((_, rank) => `${rank} `)
    const finished = rounds.map(() => false)
    const wires = new Map<string, { value: string; ranks: number[] }>()
    const ranksOf = (value: string) => value.replaceAll(/[()]/g, '').trim().split(/ +/).map(Number)
    const sent = new Set<string>()
    for (let moved = true; moved; ) {
      moved = false
      for (let rank = 0; rank < size; rank++) {
        const round = rounds[rank]![0]
        if (!round) continue
        const key = `${rank}>${round.to}`
        if (round.finish) finished[rank] = true
        if (round.to !== undefined && !sent.has(key)) {
          expect(passes('doubling', rank, round.to, size)).toBe(true)
          sent.add(key)
          wires.set(key, { value: holds[rank]!, ranks: ranksOf(holds[rank]!) })
          moved = true
        }
        const got = round.from === undefined ? undefined : wires.get(`${round.from}>${rank}`)
        if (round.from !== undefined && !got) continue
        rounds[rank]!.shift()
        moved = true
        if (!got) continue
        if (round.theirs === 'all') holds[rank] = got.value
        else {
          expect(got.ranks.sort((a, b) => a - b)).toEqual([...round.theirs])
          holds[rank] = round.mineFirst ? `(${holds[rank]}${got.value})` : `(${got.value}${holds[rank]})`
        }
      }
    }
    expect(rounds.flat()).toEqual([])
    expect(new Set(holds).size).toBe(1)
    expect(ranksOf(holds[0]!)).toEqual(rounds.map((_, rank) => rank))
  })

  it('needs connections of the order of log2 of the ranks', () => {
    for (const size of [1, ...sizes, 100])
      for (let rank = 0; rank < size; rank++) {
        const { from, to } = neighbours(rank, size)
        expect(from.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)) + 2)
        for (const other of from) expect(neighbours(other, size).to).toContain(rank)
        for (const other of to) expect(neighbours(other, size).from).toContain(rank)
        expect([...from, ...to]).not.toContain(rank)
      }
  })
})

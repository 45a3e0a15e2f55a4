import { describe, expect, it } from 'vitest'
import { OwnerClock } from '../../src/gang/agent/clock.js'
import { type NeighbourSigns, readSilence } from '../../src/gang/silence.js'

const neighbour = (node: number, heardAgo: number, ownerAgo: number, gone = false): NeighbourSigns => ({
  node,
  heardAt: 100_000 - heardAgo,
  ownerAt: 100_000 - ownerAgo,
  gone,
})
const read = (ownerAgo: number, ...neighbours: NeighbourSigns[]) =>
  readSilence({ now: 100_000, ownerAt: 100_000 - ownerAgo, leaseMs: 5_000, patience: 1, neighbours })

describe('what the silence of the owner means to a member', () => {
  it('nothing within the lease', () => {
    expect(read(4_900, neighbour(0, 9_000, 9_000))).toEqual({ means: 'none' })
  })
  it('a pause, when those who are heard do not hear it either', () => {
    expect(read(50_000, neighbour(0, 900, 50_800), neighbour(3, 100, 49_300))).toEqual({ means: 'paused' })
  })
  it('a pause, when there is nobody to ask', () => {
    expect(read(50_000)).toEqual({ means: 'paused' })
  })
  it('being cut off from it alone, when another hears it', () => {
    expect(read(5_500, neighbour(0, 400, 900))).toEqual({ means: 'alone', heardBy: 0 })
  })
  it('being cut off, when nobody is heard', () => {
    expect(read(5_500, neighbour(0, 5_400, 6_000))).toEqual({ means: 'parted', lost: [0], heard: [] })
  })
  it('the end of the gang, when a member has gone too', () => {
    expect(read(5_500, neighbour(0, 100, 5_600), neighbour(2, 100, 5_500, true))).toEqual({
      means: 'parted',
      lost: [2],
      heard: [0],
    })
  })
})

describe('the clock of the owner', () => {
  it('is that of the quickest exchange, whatever delays the others', () => {
    const clock = new OwnerClock()
    expect(clock.onOwners(1)).toBeUndefined()
    clock.answered(1_000, 51_300, 1_400)
    clock.answered(2_000, 52_010, 2_020)
    clock.answered(3_000, 53_900, 4_000)
    expect(clock.onOwners(5_000)).toBe(55_000)
  })
})

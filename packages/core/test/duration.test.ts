import { describe, expect, it } from 'vitest'
import { GangflowError } from '../src/errors/base.js'
import { milliseconds } from '../src/errors/duration.js'

describe('milliseconds', () => {
  it.each([
    [0, 0],
    [1500, 1500],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
  ] as const)('%s is %i', (duration, expected) => expect(milliseconds(duration)).toBe(expected))

  it.each([-1, Number.NaN, '', '30', 's', '30 s', '5x'])('refuses %s by name', (bad) => {
    expect(() => milliseconds(bad)).toThrowError(GangflowError)
    expect(() => milliseconds(bad)).toThrowError(/is no duration/)
  })
})

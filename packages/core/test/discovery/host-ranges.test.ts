import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expandHosts, repeated } from '../../src/discovery/host-ranges.js'
import { Variables } from '../../src/discovery/variables.js'

const recorded = JSON.parse(readFileSync(new URL('./fixtures/scontrol-hostnames.json', import.meta.url), 'utf8')) as {
  refused: string[]
  shown: [list: string, hosts: string][]
}
const about = new Variables('Slurm', { env: {}, readFile: () => '', hostname: 'here' })
const expand = (list: string) => expandHosts(list, 'LIST', about)

describe('a list of hosts in short form', () => {
  it(`is written out as scontrol did with ${recorded.shown.length} lists`, () => {
    for (const [list, hosts] of recorded.shown) expect(expand(list).join(' '), list).toBe(hosts)
  })

  it.each([
    ...recorded.refused,
    'n[1',
    'n1]',
    'n[1-]',
    'n[[1]]',
    'n[1]]',
    'n 1',
    'n[1, 2]',
    '',
    ',',
    'n[1-65536]x[1-9]',
  ])('is refused when it is %j', (list) => {
    expect(() => expand(list)).toThrowError(expect.objectContaining({ code: 'E_DISCOVERY_VALUE' }))
  })

  it('may end with text, as names of interfaces do', () => {
    expect(expand('n[1-2]-ib,m[3].example.org')).toEqual(['n1-ib', 'n2-ib', 'm3.example.org'])
  })

  it('gives back the hosts of which it was made, whatever they are', () => {
    const name = fc.stringMatching(/^[a-z][a-z.-]{0,6}$/)
    const piece = fc.record({
      from: fc.nat(2_000),
      count: fc.integer({ min: 1, max: 9 }),
      width: fc.integer({ min: 1, max: 6 }),
    })
    const bracket = fc.array(piece, { minLength: 1, maxLength: 3 })
    const host = fc.record({ name, brackets: fc.array(bracket, { maxLength: 2 }) })
    fc.assert(
      fc.property(fc.array(host, { minLength: 1, maxLength: 4 }), (hosts) => {
        const numbers = (one: { from: number; count: number; width: number }) =>
          Array.from({ length: one.count }, (_, i) => String(one.from + i).padStart(one.width, '0'))
        const short = (one: { from: number; count: number; width: number }) => {
          const all = numbers(one)
          return all.length === 1 ? all[0]! : `${all[0]}-${all.at(-1)}`
        }
        const list = hosts.map(
          ({ name, brackets }) => `${name}${brackets.map((b) => `[${b.map(short).join(',')}]`).join('')}`,
        )
        // Two brackets, in which the order is plain; of three and more scontrol's own record above tells.
        const all = hosts.flatMap(({ name, brackets }) =>
          brackets.reduce((made, b) => made.flatMap((m) => b.flatMap(numbers).map((n) => m + n)), [name]),
        )
        expect(expand(list.join(','))).toEqual(all)
      }),
      { numRuns: 200 },
    )
  })
})

describe('counts by node', () => {
  it.each([
    ['2(x3),1', [2, 2, 2, 1]],
    ['4', [4]],
    ['3,1(x2)', [3, 1, 1]],
    ['2(x3', undefined],
    ['x', undefined],
    ['1(x999999)', undefined],
  ])('%s is %j', (text, counts) => expect(repeated(text)).toEqual(counts))
})

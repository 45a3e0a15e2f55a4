import { describe, expect, it } from 'vitest'
import { bytesText } from '../../../src/backend/doctor/finding.js'
import { judgeHost, judgeTogether } from '../../../src/backend/doctor/judge.js'
import type { MachineFacts } from '../../../src/backend/doctor/machine-facts.js'

const space = (free: number, path = '/', type = 'ext4') => ({ path, size: 100e9, free, type })
const good: MachineFacts = {
  hostname: 'a',
  resolves: ['10.0.0.1'],
  platform: 'linux',
  arch: 'x64',
  libc: 'glibc 2.36',
  kernel: '6.1.0',
  node: 'v22.11.0',
  uid: 1000,
  cpus: 8,
  memory: { total: 32e9, free: 20e9 },
  addresses: [{ link: 'eth0', address: '10.0.0.1', family: 4 }],
  work: space(50e9, '/home/a/.cache/gangflow'),
  temp: space(50e9, '/tmp'),
  shm: space(16e9, '/dev/shm', 'tmpfs'),
  limits: { files: 65_536 },
  gpus: undefined,
}
const judge = (facts: Partial<MachineFacts>, spec = {}) =>
  Object.fromEntries(judgeHost({ ...good, ...facts }, spec).map((finding) => [finding.check, finding]))

describe('what a host says of itself', () => {
  it('finds nothing wrong with a good one', () => {
    expect(judgeHost(good).filter(({ status }) => status === 'warn' || status === 'fail')).toEqual([])
  })

  it.each([
    ['disk', { work: space(1e6) }, 'fail', /workdir=/],
    ['disk', { work: space(1e9) }, 'warn', /workdir=/],
    ['disk', { work: undefined }, 'fail', /df/],
    ['temp', { temp: space(1e6, '/tmp') }, 'fail', /TMPDIR/],
    ['/dev/shm', { shm: { ...space(64e6), size: 64e6 } }, 'warn', /shm-size/],
    ['/dev/shm', { shm: undefined }, 'warn', /shm/],
    ['limits', { limits: { files: 100 } }, 'fail', /nofile/],
    ['limits', { limits: { files: 512 } }, 'warn', /nofile/],
    ['own name', { resolves: [] }, 'warn', /\/etc\/hosts: 10\.0\.0\.1 a/],
  ])('%s: %j is a %s with its fix', (check, facts, status, fix) => {
    expect(judge(facts as Partial<MachineFacts>)[check]).toMatchObject({ status, fix: expect.stringMatching(fix) })
  })

  it('compares the GPUs with what the hosts file says', () => {
    const gpus = ['H200, 143771 MiB, 570', 'H200, 143771 MiB, 570']
    expect(judge({ gpus }, { gpus: 2 })['gpu']).toMatchObject({ status: 'info', found: `2 x ${gpus[0]}` })
    expect(judge({ gpus }, { gpus: 4 })['gpu']).toMatchObject({ status: 'fail', fix: expect.stringContaining('gpus=') })
    expect(judge({})['gpu']).toMatchObject({ status: 'info', found: 'none' })
  })
})

describe('what hosts tell together', () => {
  const host = (name: string, facts: Partial<MachineFacts> = {}) => ({ name, facts: { ...good, ...facts } })
  const answer = (hostName: string, check: string, found: string) =>
    ({ check, status: 'ok', found, host: hostName }) as const

  it('names those that differ, and those with one name', () => {
    const found = [
      answer('a', 'system', 'linux x64'),
      answer('b', 'system', 'linux arm64'),
      answer('a', 't: torch', '2.1'),
      answer('b', 't: torch', '2.2'),
      answer('a', 'node', 'v22'),
      answer('b', 'node', 'v22'),
    ]
    const together = judgeTogether(found, [host('a'), host('b')], ['t: torch'])
    expect(together.map(({ check, status }) => [check, status])).toEqual([
      ['system', 'warn'],
      ['t: torch', 'warn'],
      ['own name', 'warn'],
    ])
    expect(together[0]!.found).toBe('the hosts differ: linux x64 (a); linux arm64 (b)')
    expect(together[2]!.found).toMatch(/^a, b all call themselves a/)
  })

  it('says nothing of hosts that are alike', () => {
    const found = [answer('a', 'node', 'v22'), answer('b', 'node', 'v22')]
    expect(judgeTogether(found, [host('a'), host('b', { hostname: 'b' })])).toEqual([])
  })
})

it('sizes are for people', () => {
  expect([0, 999, 1500, 64e6, 1.25e12].map(bytesText)).toEqual(['0 bytes', '999 bytes', '1.5 kB', '64 MB', '1.3 TB'])
})

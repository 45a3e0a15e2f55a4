import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import type { RosterEntry } from '@gangflow/core'
import { describe, expect, it } from 'vitest'
import { driverEnvironment, refuseTls } from '../src/environment.js'
import type { RayOptions } from '../src/options.js'
import { logsOf, planRay } from '../src/plan.js'

const token = 'f'.repeat(64)
const member = (node: number, host: string, more: Partial<RosterEntry> = {}): RosterEntry => ({
  node,
  memberId: `m${node}`,
  host,
  addresses: [`10.0.0.${node + 1}`],
  slots: 2,
  gpus: [],
  ...more,
})
const plan = (entries: RosterEntry[], options: RayOptions = {}, oneByOne = false) => {
  const names: string[] = []
  const port = (node: number, name: string) =>
    20_000 + node * 100 + (names.includes(name) ? names.indexOf(name) : names.push(name) - 1)
  const roster = { epoch: 1, control: 'm0', entries }
  return planRay({ id: 'abcdef0123', roster, port }, { options, token, memory: 10_000_000_000, oneByOne })
}
const words = (command: { argv: readonly string[] }) => command.argv.slice(command.argv.indexOf('start'))

describe('the plan of a cluster', () => {
  it('starts a head with every port fixed, and workers that find it', () => {
    const made = plan([member(0, 'a'), member(1, 'b', { gpus: ['2', '3'] })], { resources: { fast: 4 } })
    expect(words(made.head)).toEqual(
      expect.arrayContaining(['--head', '--no-monitor', '--include-dashboard=false', '--block']),
    )
    expect(made.address).toMatch(/^10\.0\.0\.1:2\d{4}$/)
    const [worker] = made.workers
    expect(words(worker!.command)).toEqual(
      expect.arrayContaining([
        `--address=${made.address}`,
        '--node-ip-address=10.0.0.2',
        '--num-cpus=2',
        '--num-gpus=2',
        '--resources={"fast":4,"gang_node_1":1}',
        '--temp-dir=/tmp/gf-ray-abcdef0123-1',
        '--min-worker-port=0',
      ]),
    )
    expect(worker!.command.env).toMatchObject({
      CUDA_VISIBLE_DEVICES: '2,3',
      RAY_AUTH_MODE: 'token',
      RAY_AUTH_TOKEN: token,
    })
    const fixed = [...words(made.head), ...words(worker!.command)].flatMap(
      (word) => /-port=(2\d{4})$/.exec(word)?.[1] ?? [],
    )
    expect(new Set(fixed).size).toBe(fixed.length)
    expect(fixed.length).toBe(3 + 2 * 6)
  })

  it('shares the memory of a host among its members, and starts them one after the other', () => {
    const made = plan([member(0, 'a', { slots: 1 }), member(1, 'a', { slots: 1 }), member(2, 'b')])
    expect(words(made.head)).toContain('--object-store-memory=1500000000')
    expect(words(made.workers[1]!.command).join(' ')).not.toContain('object-store')
    expect(made.workers.map(({ after }) => after)).toEqual([[0], []])
    const four = plan([0, 1, 2, 3].map((node) => member(node, 'a', { slots: 16 })))
    expect(four.workers.map(({ after }) => after)).toEqual([[], [], []])
    const slow = plan(
      [0, 1, 2].map((node) => member(node, 'a', { slots: 16 })),
      {},
      true,
    )
    expect(slow.workers.map(({ after }) => after)).toEqual([[0], [0, 1]])
  })

  it('declares what is to be removed, and keeps the token out of every command line', () => {
    const made = plan([member(0, 'a'), member(1, 'b')], { dashboard: true })
    expect(made.atEnd).toEqual([
      { node: 0, undo: { remove: '/tmp/gf-ray-abcdef0123-0' } },
      { node: 1, undo: { remove: '/tmp/gf-ray-abcdef0123-1' } },
    ])
    expect(made.dashboardUrl).toMatch(/^http:\/\/10\.0\.0\.1:2\d{4}$/)
    expect(JSON.stringify([made.head.argv, made.workers.map(({ command }) => command.argv)])).not.toContain(token)
    expect(driverEnvironment(made, token)).toMatchObject({ RAY_ADDRESS: made.address, RAY_DEDUP_LOGS: '0' })
    for (const { env } of [made.head, made.workers[0]!.command])
      expect(env).toMatchObject({ RAY_ADDRESS: made.address })
    expect(logsOf(made, 1, 'silent').argv.slice(-2)).toEqual(['/tmp/gf-ray-abcdef0123-1', 'raylet'])
  })

  it('is not led to another Ray, nor by a proxy, by what a person has in the shell', () => {
    const made = plan([member(0, 'a'), member(1, 'b')])
    expect(driverEnvironment(made, token, {})).not.toHaveProperty('no_proxy')
    const shell = { RAY_JOB_CONFIG_JSON_ENV_VAR: '{"runtime_env":{}}', HTTP_PROXY: 'http://p:1', NO_PROXY: 'here' }
    expect(driverEnvironment(made, token, shell)).toMatchObject({
      ...{ RAY_JOB_CONFIG_JSON_ENV_VAR: '{}', RAY_API_SERVER_ADDRESS: '', RAY_USE_TLS: '0' },
      ...{ no_proxy: 'here,10.0.0.1', NO_PROXY: 'here,10.0.0.1' },
    })
    const folder = mkdtempSync('/tmp/gf-ray-plan-')
    try {
      const [sh, ...words] = made.workers[0]!.command.argv
      const env = {
        PATH: process.env['PATH'],
        LC_ALL: 'C',
        ...shell,
        RAY_REDIS_ADDRESS: 'other:1',
        RAY_OVERRIDE_RESOURCES: '{"CPU":1}',
      }
      const ask = ['sh', '-c', 'env | grep -iE "^(RAY_|no_proxy)" | sort']
      const said = execFileSync(sh!, [...words.slice(0, 3), `${folder}/node`, words[4]!, ...ask], {
        env,
        encoding: 'utf8',
      })
      expect(said).toBe('NO_PROXY=here,10.0.0.1\nno_proxy=here,10.0.0.1\n')
    } finally {
      rmSync(folder, { recursive: true })
    }
    expect(() => refuseTls('train', { RAY_USE_TLS: '1' })).toThrow(/RAY_USE_TLS is set/)
  })

  it('brackets IPv6, and takes the port that was asked for', () => {
    const made = plan([member(0, 'a', { addresses: ['fd00::1'] })], { port: 6380 })
    expect(made.address).toBe('[fd00::1]:6380')
    expect(made.wanted[0]!.raylet).toMatch(/^\[fd00::1\]:2\d{4}$/)
  })
})

import { X509Certificate } from 'node:crypto'
import { expect, it } from 'vitest'
import { selfSigned } from '../src/certificate.js'
import type { DaskOptions, DaskRunOptions } from '../src/options.js'
import { planDask, ports } from '../src/plan.js'
import { checkOptions, settle } from '../src/settings.js'

const names = [...ports.head, ...ports.each] as readonly string[]
const entry = (node: number) => ({
  node,
  memberId: `m${node}`,
  host: `h${node}`,
  addresses: [`10.0.0.${node + 1}`],
  slots: 3,
  gpus: [],
})

it('plans a scheduler on the control and a worker on every member, closed by a key that no command line shows', () => {
  const certificate = selfSigned('gangflow', 2)
  const place = {
    id: 'abcdef0123',
    roster: { epoch: 1, control: 'm0', entries: [entry(0), entry(1)] },
    port: (node: number, name: string) => 20_000 + node * 100 + names.indexOf(name),
  }
  const plan = planDask(place, { memoryLimit: '600MB' }, certificate)
  expect(plan.address).toBe('tls://10.0.0.1:20000')
  expect(plan.workers.map(({ node }) => node)).toEqual([0, 1])
  const words = plan.workers[1]!.command.argv.join(' ')
  expect(words).toContain(
    'tls://10.0.0.1:20000 --host 10.0.0.2 --worker-port 20102 --nthreads 3 --name node1 --no-nanny',
  )
  expect(words).toContain('--no-dashboard --dashboard-address 127.0.0.1:20103')
  expect(words).toContain('--memory-limit 600MB')
  expect(plan.head.argv.join(' ')).toContain('--no-dashboard --dashboard-address 127.0.0.1:20001')
  const key = certificate.key.split('\n')[1]!
  const { head, workers } = plan
  expect(
    JSON.stringify([head.argv, head.env, workers.map(({ command }) => [command.argv, command.env])]),
  ).not.toContain(key)
  // Also for `Client()` in a task, whatever the person's shell names.
  for (const { env } of [head, ...workers.map(({ command }) => command)])
    expect(env).toMatchObject({ DASK_SCHEDULER_ADDRESS: plan.address })
  expect(plan.clientEnv).toMatchObject({
    DASK_SCHEDULER_ADDRESS: plan.address,
    DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION: 'True',
  })
})

it('makes a certificate that is its own authority, for servers and clients', () => {
  const made = new X509Certificate(selfSigned('of a gang', 2, new Date('2026-11-22T12:00:00Z')).cert)
  expect(made.subject).toBe('CN=of a gang')
  expect(made.issuer).toBe(made.subject)
  expect(made.ca).toBe(true)
  expect(made.verify(made.publicKey)).toBe(true)
  expect(made.validFrom).toMatch(/^Nov 22 11:00:00 2026/)
  expect(made.validTo).toMatch(/^Nov 24 12:00:00 2026/)
})

it.each([
  [{ thread: 2 }, /has no option 'thread'/],
  [{ threads: 0 }, /threads is 0/],
  [{ memoryLimit: 'much' }, /memoryLimit is "much"/],
  [{ localDirectory: 'here' }, /localDirectory is "here"/],
  [{ silence: 'long' }, /silence is "long"/],
])('@dask(%j) is refused', (options, what) => {
  expect(() => checkOptions(options as DaskOptions)).toThrow(
    expect.objectContaining({ code: 'E_DASK_OPTION', message: expect.stringMatching(what) }),
  )
})

it('checks a call', () => {
  expect(settle({ entrypoint: 'a.py', args: [1, 'b'], timeout: '1s' })).toEqual({
    words: ['a.py', '1', 'b'],
    timeoutMs: 1000,
  })
  expect(() => settle({ entrypoint: 7 } as unknown as DaskRunOptions)).toThrow(/entrypoint is 7/)
})

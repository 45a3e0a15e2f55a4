import { expect, it } from 'vitest'
import {
  idleNodes,
  judgeConfig,
  judgeNodes,
  judgePartitions,
  judgeVersion,
  largestArray,
  parseConfig,
  someAway,
} from '../src/findings.js'

const partitions =
  'main*|up|infinite|3|idle\nmain*|up|infinite|1|down*\nold|down|1:00:00|2|idle\nfull|up|1:00:00|2|drain\n'

it('partitions: who serves, who does not, and a name that is none', () => {
  expect(judgePartitions(partitions, undefined)).toEqual([
    { check: 'partition', status: 'ok', found: 'main*: 3 of 4 nodes serve, 3 idle, jobs of infinite at most' },
    { check: 'partition', status: 'warn', found: 'old is down', fix: expect.stringContaining('choose another') },
    { check: 'partition', status: 'warn', found: expect.stringContaining('full: 0 of 2'), fix: expect.any(String) },
  ])
  const nope = { check: 'partition', status: 'fail', found: 'there is no nope', fix: 'there are main, old, full' }
  expect(judgePartitions(partitions, 'main,nope')).toEqual([nope])
  expect(judgePartitions('a|up|infinite|1|idle', undefined)[0]).toMatchObject({ status: 'fail' })
  expect(idleNodes(partitions, undefined)).toBe(3)
  const nodes = ['idle\nmix\nalloc\nidle~\n', 'idle\ndrain\n', 'idle*\n', 'mix\nresv\n', '']
  expect(nodes.map(someAway)).toEqual([false, true, true, true, false])
})

it('a site: what it warns of, what it accounts, how large its arrays are', () => {
  const config = parseConfig(
    'PreemptMode  = REQUEUE\nMaxArraySize = 101\nAccountingStorageType = accounting_storage/none\nMinJobAge = 300 sec\n',
  )
  expect(judgeConfig(config).map(({ check, status }) => `${check} ${status}`)).toEqual([
    'preemption warn',
    'arrays info',
    'accounting info',
  ])
  const calm = { ...config, PreemptMode: 'OFF', MaxArraySize: '1001' }
  // Indices are below it; 0 allows no array.
  expect(
    ['4', '1001', '0', undefined].map((size) => largestArray(size === undefined ? {} : { MaxArraySize: size })),
  ).toEqual([4, 1001, 1, 1001])
  expect(judgeConfig(calm).map(({ check }) => check)).toEqual(['accounting'])
  expect(judgeConfig({ ...config, SlurmctldParameters: 'preempt_send_user_signal' })[0]).toMatchObject({ status: 'ok' })
  expect(['22.05.8', '21.08.5', '25.05.1', ''].map((version) => judgeVersion(version).status)).toEqual([
    'ok',
    'warn',
    'ok',
    'warn',
  ])
})

it('nodes: what each sees of what a job needs', () => {
  const wanted = {
    datastore: '/s/.gangflow',
    core: '/s/core',
    flowDir: '/s',
    node: '/usr/bin/node',
    version: 'v22.1.0',
  }
  const stdout = 'motd\ngangflow|h1|n1|yes|yes|yes|v22.1.0\ngangflow|h2|n2|no|yes|no|\n'
  const findings = judgeNodes({ code: 0, stdout, stderr: '' }, wanted)
  const relayed = 'tasks and gangs run relayed through the launcher and end with it; no foreach, no --detach'
  expect(findings.filter(({ status }) => status !== 'ok')).toMatchObject([
    { host: 'n2', status: 'warn', found: `does not see /s/.gangflow: ${relayed}` },
    { host: 'n2', status: 'fail', found: 'has no Node' },
  ])
  const required = judgeNodes({ code: 0, stdout, stderr: '' }, { ...wanted, shared: true })
  expect(required.filter(({ status }) => status !== 'ok').map(({ host, found }) => `${host} ${found}`)).toEqual([
    'n2 does not see /s/.gangflow',
    'n2 does not see /s',
    'n2 /usr/bin/node does not run there',
  ])
  const none = { code: 1, stdout: '' }
  const busy = 'srun: error: Unable to allocate resources: Immediate execution impossible'
  expect(judgeNodes({ ...none, stderr: busy }, wanted)).toMatchObject([{ status: 'warn' }])
  expect(judgeNodes({ ...none, stderr: 'srun: error: Invalid account' }, wanted)).toMatchObject([
    { status: 'fail', found: 'none could be looked at: Invalid account' },
  ])
})

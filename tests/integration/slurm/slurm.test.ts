import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { type Cluster, startCluster, until } from '../../slurm/cluster.js'
import { contents } from '../../slurm/contents.js'
import { parentOf } from '../../slurm/parents.js'
import { follow, type Running } from '../../slurm/running.js'
import { slack } from '../../support/gang.js'

const execute = promisify(execFile)
const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname
const example = (name: string) => new URL(`../../../examples/${name}.ts`, import.meta.url).pathname
const flow = (name: string) => new URL(`flows/${name}.ts`, import.meta.url).pathname

let cluster: Cluster
let store: string

beforeAll(async () => {
  // More of them than there are: the examples' gangs share the nodes.
  cluster = await startCluster({ cpus: 4 })
  store = mkdtempSync(join(tmpdir(), 'gangflow-slurm-'))
})

afterAll(async () => {
  await cluster?.down()
  rmSync(store, { recursive: true, force: true, maxRetries: 10 })
})

/** Whatever happened: nothing is left in the queue, and on the nodes no process that the run started. */
afterEach(async () => {
  await until('an empty queue', async () => (await cluster.run('squeue', '-h')) === '', 20_000 * slack)
  await until('the end of its processes', () => ofRun().length === 0, 20_000 * slack)
}, 60_000 * slack)

/** Processes below the cluster's daemons, besides these. */
const ofRun = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
      return (
        argv.includes(store) ||
        (/agent\.cjs|body\.cjs/.test(argv) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(cluster.conf))
      )
    } catch {
      return false
    }
  })

function gangflow(...args: readonly string[]): Running {
  const argv = [cli, 'run', ...args, '--backend', 'slurm', '--datastore', store]
  const child = spawn(process.execPath, argv, { env: cluster.env, stdio: ['ignore', 'pipe', 'pipe'] })
  return follow(child)
}

it('runs tasks as jobs, a foreach as one array and a gang as one job of four nodes', async () => {
  const { code, text } = await gangflow(flow('whole')).ended
  expect(text).toContain('squares 1 4 9 16 25, members on lab0 lab1 lab2 lab3')
  expect(text).toContain('square 25 in task 4')
  expect(code).toBe(0)
  const rows = (
    await cluster.run('squeue', '-h', '-r', '-t', 'all', '-O', 'Name:|,ArrayJobID:|,NumNodes:|,State')
  ).split('\n')
  const own = rows.map((row) => row.trim().split('|')).filter(([name]) => name?.startsWith('Whole.'))
  expect(new Set(own.filter(([name]) => name === 'Whole.each').map(([, array]) => array)).size).toBe(1)
  expect(own.filter(([name]) => name === 'Whole.together').map(([, , nodes]) => nodes)).toEqual(['4'])
  // Of the last one Slurm may still clear up.
  expect(new Set(own.map(([, , , state]) => state!.replace('COMPLETING', 'COMPLETED')))).toEqual(new Set(['COMPLETED']))
})

it('prints what it would submit, and refuses at once what the cluster can never give', async () => {
  const dry = await gangflow(flow('whole'), '--dry-run', '--backend-option', 'partition=urgent').ended
  expect(dry.text).toMatch(/^ {4}#SBATCH --nodes=4$[\s\S]*^ {4}#SBATCH --time=10$\n^ {4}#SBATCH --partition=urgent$/m)
  const { code, text } = await gangflow(flow('whole'), '--backend-option', 'mem=900G').ended
  expect(text).toContain(
    'Slurm does not take the job: allocation failure: Requested node configuration is not available',
  )
  expect(code).toBe(1)
  const typo = await gangflow(flow('whole'), '--backend-option', 'partion=main').ended
  expect(typo.text).toContain("there is no option 'partion'")
  expect(typo.code).toBe(2)
  // From the folder that the package is found from.
  const doctor = [cli, 'doctor', flow('pair'), '--backend', 'slurm', '--datastore', store, '--json']
  const { stdout } = await execute(process.execPath, doctor, { env: cluster.env })
  const findings = (JSON.parse(stdout) as { findings: { check: string; status: string; host?: string }[] }).findings
  const ofNodes = findings.filter(({ check }) => check === 'datastore of nodes')
  expect(new Set(ofNodes.map(({ host, status }) => `${host} ${status}`))).toEqual(
    new Set(cluster.nodes.map((node) => `${node} ok`)),
  )
  expect(findings).toContainEqual(expect.objectContaining({ check: 'munge', status: 'ok' }))
})

it('has the secret of a gang nowhere, and names the member whose agent was killed', async () => {
  // Every draw of as many bytes in its job, told to this test alone.
  const drawn = join(store, 'drawn')
  const hook = join(store, 'hook.cjs')
  writeFileSync(hook, telling(drawn))
  const run = gangflow(flow('held'), '--backend-option', `sbatchArgs=--export=ALL,NODE_OPTIONS=--require=${hook}`)
  const [, body] = await run.says(/node 1 waits, body (\d+)/)
  const secrets = readFileSync(drawn, 'utf8').trim().split('\n')
  rmSync(drawn)
  const job = (await cluster.run('squeue', '-h', '--name=Held.wait', '-o', '%A')).trim()
  const told: Record<string, Buffer> = {
    script: Buffer.from(await cluster.run('scontrol', 'write', 'batch_script', job, '-')),
    job: Buffer.from(await cluster.run('scontrol', 'show', 'job', '--details', job)),
    // The controller's copy of the script and its environment, which accounting keeps too; those of the nodes.
    state: contents(join(cluster.folder, 'state')),
    spool: contents(join(cluster.folder, 'spool')),
    log: contents(join(cluster.folder, 'log')),
    datastore: contents(store),
    argv: processes('cmdline'),
    environment: processes('environ'),
  }
  // Each of them holds what it is thought to hold.
  for (const [name, text] of Object.entries(told))
    expect({ name, holds: text.includes(name === 'log' ? `JobId=${job}` : store) }).toEqual({ name, holds: true })
  const found = secrets.flatMap((hex) => {
    const secret = Buffer.from(hex, 'hex')
    const forms = [
      secret,
      ...(['hex', 'base64', 'base64url'] as const).map((form) => secret.toString(form).slice(0, 40)),
    ]
    return Object.entries(told).flatMap(([name, text]) => (forms.some((form) => text.includes(form)) ? [name] : []))
  })
  expect(secrets.length).toBeGreaterThan(0)
  expect(found).toEqual([])
  process.kill(parentOf(parentOf(Number(body))), 'SIGKILL')
  const { code, text } = await run.ended
  expect(text).toMatch(/infrastructure the agent on node 1 \(lab\d\) of 3, pid \d+ was ended by SIGKILL/)
  expect(code).toBe(3)
})

it('tells a job that somebody cancelled from one that was preempted', async () => {
  const run = gangflow(flow('held'))
  await run.says(/node 1 waits/)
  await cluster.run('scancel', '--name=Held.wait')
  const { code, text } = await run.ended
  expect(text).toMatch(/cancelled job \d+ of step 'wait' was cancelled \(CANCELLED\)/)
  expect(code).toBe(130)
})

it('goes on in a new epoch once a job of higher priority has taken its nodes for a while', async () => {
  const run = gangflow(flow('held'))
  await run.says(/node 1 waits/)
  await cluster.run('sbatch', '--partition=urgent', '--nodes=3', '--exclusive', '--output=/dev/null', '--wrap=sleep 1')
  const { code, text } = await run.ended
  expect(text).toContain('its job was started again (1)')
  expect(text).toMatch(/warned: another job takes its nodes( in \d+ s)?, then it goes back into the queue/)
  for (const node of [0, 1, 2]) expect(text).toContain(`node ${node} is warned: preempted, true`)
  expect(text).toMatch(/after epoch 1 comes epoch [23], saved at the warning \(preempted\)/)
  expect(code).toBe(0)
})

it('takes the nodes of a job that it is started in', async () => {
  const argv = ['--nodes=2', '--ntasks-per-node=1', process.execPath, cli, 'run', flow('pair'), '--backend', 'slurm']
  const salloc = spawn('salloc', [...argv, '--datastore', store], {
    env: cluster.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  salloc.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  const [code] = await once(salloc, 'close')
  expect(text).toMatch(/members on lab\d lab\d$/m)
  expect(code).toBe(0)
})

it('runs the examples of PyTorch, MPI and TensorFlow.js as they are, beside a job that needs its time twice', async () => {
  const python = await pythonWithTorch()
  const short = ['time=2m', 'warning=20', 'requeues=1'].flatMap((option) => ['--backend-option', option])
  const twice = gangflow(flow('held'), ...short).ended
  const runs = await Promise.all([
    gangflow(example('torch-digits/flow'), '--env', `GANGFLOW_PYTHON=${python}`).ended,
    gangflow(example('mpi-hello/pi')).ended,
    gangflow(example('tfjs-digits/flow')).ended,
  ])
  expect(runs[0].text).toMatch(/accuracy 0\.9\d/)
  expect(runs[1].text).toMatch(/pi is 3\.14159\d+ by 8 ranks/)
  expect(runs[2].text).toMatch(/accuracy 9\d\.\d %/)
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0])
  const { code, text } = await twice
  expect(text).toMatch(/warned: its time is over in \d+ s, then it goes back into the queue/)
  expect(text).toMatch(/after epoch 1 comes epoch [23], saved at the warning \(time-limit\)/)
  expect(code).toBe(0)
}, 900_000)

it('goes on through a restart of the controller, and cancels its job on Ctrl-C', async () => {
  const run = gangflow(flow('held'))
  await run.says(/node 1 waits/)
  await cluster.stopDaemon('slurmctld')
  await run.says(/Slurm does not answer/)
  await cluster.startController()
  await run.says(/its job \d+ runs[\s\S]*does not answer[\s\S]*its job \d+ runs/)
  run.child.kill('SIGINT')
  const { code, text } = await run.ended
  expect(text).toContain('Ctrl-C: stopping')
  expect(code).toBe(130)
})

/** A module that writes whatever of a secret's 32 bytes the process of a job draws into a file. */
const telling = (path: string): string => `
  const crypto = require('node:crypto')
  const { randomBytes } = crypto
  crypto.randomBytes = (size, ...more) => {
    const bytes = randomBytes(size, ...more)
    if (size === 32 && process.argv[1]?.endsWith('/job.cjs')) require('node:fs').appendFileSync(${JSON.stringify(path)}, bytes.toString('hex') + '\\n')
    return bytes
  }
  require('node:module').syncBuiltinESMExports()
`

/** Of every process of this machine that can be read. */
const processes = (what: 'cmdline' | 'environ'): Buffer =>
  Buffer.concat(
    readdirSync('/proc')
      .filter((pid) => Number(pid) > 0)
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/${what}`)
        } catch {
          return Buffer.alloc(0)
        }
      }),
  )

import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { type Cluster, startCluster, until } from '../../slurm/cluster.js'
import { contents } from '../../slurm/contents.js'
import { ancestors, parentOf } from '../../slurm/parents.js'
import { follow, type Running } from '../../slurm/running.js'
import { slack } from '../../support/gang.js'

const execute = promisify(execFile)
const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname
const flow = (name: string) => new URL(`flows/${name}.ts`, import.meta.url).pathname
const unshared = ['--backend-option', 'shared=false']

let cluster: Cluster
let store: string

beforeAll(async () => {
  // Its nodes see neither the datastore nor the project.
  cluster = await startCluster({ cpus: 4, apart: true })
  store = mkdtempSync(join(tmpdir(), 'gangflow-apart-'))
})

afterAll(async () => {
  await cluster?.down()
  rmSync(store, { recursive: true, force: true, maxRetries: 10 })
})

/** Whatever happened: nothing is left in the queue, nor of the agents and bodies. */
afterEach(async () => {
  await until('an empty queue', async () => (await cluster.run('squeue', '-h')) === '', 30_000 * slack)
  const left = () => pids().filter((pid) => of(pid, 'environ').includes(cluster.conf) && isOurs(of(pid, 'cmdline')))
  await until('the end of its processes', () => left().length === 0, 20_000 * slack)
}, 60_000 * slack)

const isOurs = (argv: Buffer): boolean => /agent\.cjs|body\.cjs|gangflow-keeper/.test(argv.toString('latin1'))
const pids = (): string[] => readdirSync('/proc').filter((pid) => Number(pid) > 0)

function of(pid: string | number, what: 'cmdline' | 'environ'): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${what}`)
  } catch {
    return Buffer.alloc(0)
  }
}

function gangflow(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const argv = [cli, 'run', ...args, '--backend', 'slurm', '--datastore', store]
  const child = spawn(process.execPath, argv, { env: { ...cluster.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  return follow(child)
}

it('finds out by the first job, says so once, and runs the example of PyTorch as it is', async () => {
  const python = await pythonWithTorch()
  const torch = new URL('../../../examples/torch-digits/flow.ts', import.meta.url).pathname
  const { code, text } = await gangflow([torch, '--env', `GANGFLOW_PYTHON=${python}`]).ended
  expect(text.match(/does not see the datastore \S+: tasks and gangs run relayed/g)).toHaveLength(1)
  expect(text).toMatch(/accuracy 0\.9\d/)
  expect(code).toBe(0)
}, 600_000)

it('refuses by name what needs jobs that see the datastore, and the doctor says what follows', async () => {
  const each = await gangflow([flow('whole'), ...unshared]).ended
  expect(each.text).toMatch(/step 'start' opens a foreach.*\[E_SLURM_NOT_SHARED\]/)
  const left = await gangflow([flow('pair'), ...unshared, '--detach']).ended
  expect(left.text).toContain('[E_DETACH]')
  expect([each.code, left.code]).toEqual([2, 2])
  const dry = await gangflow([flow('pair'), ...unshared, '--dry-run']).ended
  expect(dry.text).toMatch(/srun[\s\S]*--nodes=2[\s\S]*say here/)
  const doctor = [cli, 'doctor', flow('pair'), '--backend', 'slurm', '--datastore', store, '--json']
  const { stdout } = await execute(process.execPath, doctor, { env: cluster.env }).catch((error) => error)
  const { findings } = JSON.parse(stdout) as { findings: { check: string; status: string; found: string }[] }
  const seen = findings.filter(({ check }) => check === 'datastore of nodes')
  expect(seen.map(({ status }) => status)).toEqual(cluster.nodes.map(() => 'warn'))
  expect(seen[0]!.found).toContain('run relayed through the launcher')
})

it('has the secret nowhere, names the member whose agent was killed and keeps what its body had said', async () => {
  const drawn = join(store, 'drawn')
  const hook = join(store, 'hook.cjs')
  writeFileSync(hook, telling(drawn))
  const run = gangflow([flow('held'), ...unshared], { NODE_OPTIONS: `--require=${hook}` })
  const [, body] = await run.says(/node 1 waits, body (\d+)/)
  const secrets = readFileSync(drawn, 'utf8').trim().split('\n')
  rmSync(drawn)
  const job = await cluster.run('squeue', '-h', '--name=Held.wait', '-o', '%A')
  const told: Record<string, Buffer> = {
    job: Buffer.from(await cluster.run('scontrol', 'show', 'job', '--details', job)),
    ...Object.fromEntries(['state', 'spool', 'log'].map((name) => [name, contents(join(cluster.folder, name))])),
    datastore: contents(store),
    argv: Buffer.concat(pids().map((pid) => of(pid, 'cmdline'))),
    environment: Buffer.concat(pids().map((pid) => of(pid, 'environ'))),
  }
  const found = secrets.flatMap((hex) => {
    const secret = Buffer.from(hex, 'hex')
    const forms = [secret, ...(['hex', 'base64', 'base64url'] as const).map((as) => secret.toString(as).slice(0, 40))]
    return Object.entries(told).flatMap(([name, text]) => (forms.some((form) => text.includes(form)) ? [name] : []))
  })
  expect(secrets.length).toBeGreaterThan(0)
  expect(told['argv']!.includes('--job-name=Held.wait')).toBe(true)
  expect(found).toEqual([])
  process.kill(parentOf(parentOf(Number(body))), 'SIGKILL')
  const { code, text } = await run.ended
  expect(text).toMatch(/infrastructure the agent on node 1 \(lab\d\) of 3, pid \d+ was ended by SIGKILL/)
  expect(text).not.toContain('may be missing')
  const [, name] = /(Held\/\d+) started/.exec(text)!
  const logs = await execute(process.execPath, [cli, 'logs', `${name}/wait`, '--node', '1', '--datastore', store])
  expect(logs.stdout).toContain(`node 1 waits, body ${body}`)
  expect(code).toBe(3)
})

it('says that somebody cancelled its job, and ends it at the second Ctrl-C', async () => {
  const run = gangflow([flow('held'), ...unshared])
  await run.says(/node 1 waits/)
  await cluster.run('scancel', '--name=Held.wait')
  const { code, text } = await run.ended
  expect(text).toMatch(/cancelled job \d+ of step 'wait' was cancelled \(CANCELLED\)/)
  expect(text).not.toContain('may be missing')
  expect(code).toBe(130)
  const other = gangflow([flow('held'), ...unshared])
  await other.says(/node 1 waits/)
  other.child.kill('SIGINT')
  await other.says(/once more kills at once/)
  other.child.kill('SIGINT')
  expect((await other.ended).code).toBe(130)
})

it.each(['the launcher', 'everything on its machine'])('leaves nothing when %s is killed', async (what) => {
  const run = gangflow([flow('held'), ...unshared])
  await run.says(/node 1 waits/)
  // Its keeper, srun and what watches over srun.
  const below = pids().filter((pid) => /srun\0|gangflow-keeper/.test(of(pid, 'cmdline').toString('latin1')))
  const own = below.filter((pid) => ancestors(Number(pid)).includes(run.child.pid!))
  expect(own.length).toBeGreaterThan(2)
  for (const pid of what === 'the launcher' ? [run.child.pid!] : [run.child.pid!, ...own.map(Number)])
    process.kill(pid, 'SIGKILL')
  await run.ended
})

/** A module that writes whatever of a secret's 32 bytes the launcher draws into a file. */
const telling = (path: string): string => `
  const crypto = require('node:crypto')
  const { randomBytes } = crypto
  crypto.randomBytes = (size, ...more) => {
    const bytes = randomBytes(size, ...more)
    if (size === 32) require('node:fs').appendFileSync(${JSON.stringify(path)}, bytes.toString('hex') + '\\n')
    return bytes
  }
  require('node:module').syncBuiltinESMExports()
`

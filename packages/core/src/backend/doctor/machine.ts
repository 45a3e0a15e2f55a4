import { existsSync, readFileSync } from 'node:fs'
import { access, constants, mkdtemp, rmdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { nodeServes } from '../../compile/host-runtime/runtime-files.js'
import { messageOf } from '../../errors/base.js'
import { bytesText, type Finding } from './finding.js'
import { judgeHost, onNetworkDisk } from './judge.js'
import { type MachineFacts, machineFacts } from './machine-facts.js'
import { type PlannedCheck, performCheck } from './plugin-checks.js'
import { runCommand } from './run-command.js'

export interface MachineOrder {
  /** Folder of the datastore. */
  readonly datastore: string
  /** Folder of this core. */
  readonly core: string
  readonly checks: readonly PlannedCheck[]
  /** Folder of the flow, or the current one. */
  readonly flowDir: string
  /** The client of `--backend ssh` is wanted. */
  readonly ssh: boolean
  /** Ends what takes long. */
  readonly signal: AbortSignal
}

/** Looks at the machine that launches. Never rejects: what is wrong is a finding. */
export async function examineMachine(order: MachineOrder): Promise<Finding[]> {
  const facts = await machineFacts(order.datastore)
  const [own, ...others] = await Promise.all([
    Promise.all([keeper(order.core), bundler(), datastore(order.datastore, facts), sockets(), ssh(order.ssh)]),
    ...order.checks.map((planned) =>
      performCheck(planned, { flowDir: order.flowDir }, (argv, timeoutMs) =>
        runCommand(argv, timeoutMs, { cwd: order.flowDir, signal: order.signal }),
      ),
    ),
  ])
  // Last, alone: it measures.
  const certificates = order.signal.aborted ? [] : await startOfNode()
  const judged = judgeHost(facts).map((finding) => (finding.check === 'node' ? nodeFinding() : finding))
  return [...judged.map(here), ...own, ...certificates, ...others]
}

/** Advice of hosts files is no advice for this machine. */
function here(finding: Finding): Finding {
  if (finding.check !== 'disk' || finding.fix === undefined) return finding
  return { ...finding, fix: 'make room there, or choose another datastore: --datastore' }
}

function nodeFinding(): Finding {
  const { version } = process
  if (nodeServes(version)) return { check: 'node', status: 'ok', found: version }
  return { check: 'node', status: 'fail', found: version, fix: 'install Node 20.19, 22 or 24' }
}

async function keeper(core: string): Promise<Finding> {
  const check = 'keeper'
  const compiler = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, 'cc')))
  const fix = `npm install @gangflow/keeper-${process.platform}-${process.arch}${compiler ? '' : ', or install a C compiler and build @gangflow/keeper'}`
  if (process.platform !== 'linux')
    return { check, status: 'info', found: `none on ${process.platform}: process groups serve instead` }
  try {
    const resolved = createRequire(join(core, 'package.json')).resolve('@gangflow/keeper')
    const { keeperBinary } = (await import(resolved)) as { keeperBinary(): string | undefined }
    const binary = keeperBinary()
    if (binary === undefined)
      return {
        check,
        status: 'warn',
        found:
          'there is no native helper: what leaves its session may outlive a kill -9, and --backend ssh cannot be used',
        fix,
      }
    const { exitCode, stdout, stderr } = await runCommand([binary, '--version'], 10_000)
    if (exitCode !== 0) throw new Error(stderr)
    return { check, status: 'ok', found: `${stdout.trim()} (${binary})` }
  } catch (error) {
    return { check, status: 'fail', found: `the native helper does not run: ${messageOf(error).split('\n')[0]}`, fix }
  }
}

async function bundler(): Promise<Finding> {
  try {
    const { transform, version } = await import('esbuild')
    await transform('export const a: number = 1', { loader: 'ts' })
    return { check: 'esbuild', status: 'ok', found: version }
  } catch (error) {
    const found = messageOf(error).trim().split('\n')[0]!
    return {
      check: 'esbuild',
      status: 'fail',
      found,
      fix: 'install again, with optional packages: npm ci --include=optional',
    }
  }
}

async function datastore(path: string, { work }: MachineFacts): Promise<Finding> {
  const check = 'datastore'
  for (let at = path; ; at = dirname(at)) {
    if (!existsSync(at) && dirname(at) !== at) continue
    const writable = await access(at, constants.W_OK).then(
      () => true,
      () => false,
    )
    if (!writable)
      return {
        check,
        status: 'fail',
        found: `${path} cannot be written`,
        fix: 'give yourself the right, or name another folder: --datastore',
      }
    const shared = onNetworkDisk(work) ? `, on a network disk (${work!.type})` : ''
    return { check, status: 'ok', found: `${path}${at === path ? '' : ' (not there yet)'}${shared}` }
  }
}

/** A socket's path ends at 107 bytes, and its folder must be somewhere that this user may write. */
async function sockets(): Promise<Finding> {
  const check = 'run directory'
  const folder = [process.env['XDG_RUNTIME_DIR'], '/tmp', tmpdir()].find((path) => path && existsSync(path)) ?? '/tmp'
  try {
    const made = await mkdtemp(join(folder, 'gf-'))
    await rmdir(made)
    if (made.length <= 60) return { check, status: 'ok', found: folder }
    return {
      check,
      status: 'fail',
      found: `${folder} is too long a path for sockets`,
      fix: 'set XDG_RUNTIME_DIR to a short path',
    }
  } catch (error) {
    return { check, status: 'fail', found: messageOf(error), fix: 'make it writable, or set XDG_RUNTIME_DIR' }
  }
}

async function ssh(wanted: boolean): Promise<Finding> {
  const answer = await runCommand(['ssh', '-V'], 10_000)
  if (answer.exitCode === 0) return { check: 'ssh client', status: 'ok', found: answer.stderr.trim().split(',')[0]! }
  const fix = 'install OpenSSH: apt-get install openssh-client'
  return {
    check: 'ssh client',
    status: wanted ? 'fail' : 'info',
    found: 'none: --backend ssh needs it',
    ...(wanted ? { fix } : {}),
  }
}

/** What the environment makes each start of Node cost: a run starts one for each task. */
async function startOfNode(): Promise<Finding[]> {
  const extra = process.env['NODE_EXTRA_CA_CERTS']
  const preloads = /(?:^|\s)(?:--require|-r|--import|--loader)[=\s]\S+/.exec(process.env['NODE_OPTIONS'] ?? '')?.[0]
  const findings: Finding[] = []
  if (extra !== undefined && existsSync(extra)) {
    const { NODE_EXTRA_CA_CERTS: _, ...without } = process.env
    const cost = (await startMs(process.env)) - (await startMs(without))
    const found = `NODE_EXTRA_CA_CERTS (${bytesText(readFileSync(extra).length)}) costs each start of Node ${Math.max(0, Math.round(cost))} ms`
    const fix = 'keep only your own authority in that file, or unset it for runs that need no certificates'
    findings.push(
      cost > 10
        ? { check: 'certificates', status: 'warn', found, fix }
        : { check: 'certificates', status: 'ok', found },
    )
  }
  if (preloads !== undefined)
    findings.push({
      check: 'NODE_OPTIONS',
      status: 'warn',
      found: `each start of Node loads what NODE_OPTIONS says: ${preloads.trim()}`,
      fix: 'unset NODE_OPTIONS for runs that do not need it',
    })
  return findings
}

/** The quickest of five starts. */
async function startMs(env: NodeJS.ProcessEnv): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 5; round++) {
    const started = performance.now()
    await runCommand([process.execPath, '-e', '0'], 30_000, { env })
    times.push(performance.now() - started)
  }
  return Math.min(...times)
}

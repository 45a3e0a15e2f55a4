// A real Slurm of several nodes on this machine: munged, slurmctld and a slurmd for each node, all in one folder.
import { execFile } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ClusterPlan, nodeName, slurmConf } from './conf.js'
import { daemonPath, getReady } from './needs.js'
import { ancestors } from './parents.js'

const execute = promisify(execFile)

const checkout = new URL('../..', import.meta.url).pathname

/** Of the checkout; a Python that it has stays, as nodes have theirs. */
const code = ['packages', 'node_modules', 'examples', 'tests']

export interface UpOptions {
  /** Default 4. */
  readonly nodes?: number
  /** CPUs of each. Default 2. */
  readonly cpus?: number
  /** Further lines of slurm.conf, such as `MaxArraySize=4`. */
  readonly settings?: readonly string[]
  /** Each node has a disk of its own in the place of /tmp and of this checkout's code: it sees nothing of theirs. Needs root. */
  readonly apart?: boolean
}

/** A cluster that runs, or ran: everything is known from its folder. */
export class Cluster {
  constructor(readonly folder: string) {}

  /** What its users need. */
  get env(): Record<string, string> {
    return { ...(process.env as Record<string, string>), PATH: daemonPath(), SLURM_CONF: this.conf }
  }

  get conf(): string {
    return join(this.folder, 'slurm.conf')
  }

  get nodes(): string[] {
    return readFileSync(this.conf, 'utf8').match(/(?<=^NodeName=)\S+/gm) ?? []
  }

  /** The copy of the project that made it: several may share a machine. */
  get checkout(): string {
    return readFileSync(join(this.folder, 'checkout'), 'utf8')
  }

  /** Whether its controller runs. */
  get alive(): boolean {
    return this.pid('slurmctld') !== undefined
  }

  /** Of a daemon: `munged`, `slurmctld`, `slurmd-lab0`. */
  pid(daemon: string): number | undefined {
    try {
      const pid = Number(readFileSync(join(this.folder, `${daemon}.pid`), 'utf8').trim())
      return belongs(pid, this.folder) ? pid : undefined
    } catch {
      return undefined
    }
  }

  /** Runs one of Slurm's commands; its output. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await execute(command, args, { env: this.env })
    return stdout.trim()
  }

  startController(): Promise<unknown> {
    return execute('slurmctld', ['-f', this.conf], { env: this.env })
  }

  startNode(name: string): Promise<unknown> {
    const slurmd = ['slurmd', '-N', name, '-f', this.conf]
    const hidden = existsSync(this.#apart) ? (JSON.parse(readFileSync(this.#apart, 'utf8')) as string[]) : undefined
    const [command, ...args] = hidden ? behind(hidden, this.folder, slurmd) : slurmd
    return execute(command!, args, { env: this.env })
  }

  get #apart(): string {
    return join(this.folder, 'apart')
  }

  hide(folders: readonly string[]): void {
    writeFileSync(this.#apart, JSON.stringify(folders))
  }

  /** Ends one of its daemons and waits for its end. */
  async stopDaemon(daemon: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const pid = this.pid(daemon)
    if (pid === undefined) return
    process.kill(pid, signal)
    await until(`the end of ${daemon}`, () => !belongs(pid, this.folder))
  }

  /** Until so many nodes are idle. */
  async settle(count = this.nodes.length): Promise<void> {
    await until('idle nodes', async () => {
      const told = await this.run('sinfo', '-h', '-p', 'main', '-t', 'idle', '-o', '%D').catch(() => '')
      return Number(told) === count
    })
  }

  /** Ends every job, daemon and process of it and removes its folder. */
  async down(): Promise<void> {
    if (this.alive) await this.run('scancel', '--signal=KILL', `--user=${userInfo().username}`).catch(() => {})
    // Whoever is left has its folder in its command line or environment: daemons, slurmstepd, what jobs started.
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      for (const pid of processesOf(this.folder)) kill(pid, signal)
      await until('the end of its processes', () => processesOf(this.folder).length === 0, 3_000).catch(() => {})
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Starts a cluster; takes a second or two. Throws an Error whose message says what to do. */
export async function startCluster({ nodes = 4, cpus = 2, settings = [], apart }: UpOptions = {}): Promise<Cluster> {
  getReady()
  const folder = mkdtempSync(join(tmpdir(), 'gf-slurm-'))
  const cluster = new Cluster(folder)
  try {
    const [ctldPort, ...slurmdPorts] = await freePorts(nodes + 1)
    const machine = hostname().split('.')[0]!
    const plan: ClusterPlan = {
      folder,
      machine,
      user: userInfo().username,
      nodes,
      cpus,
      ctldPort: ctldPort!,
      slurmdPorts,
      settings,
    }
    for (const name of ['state', 'log', 'spool', ...slurmdPorts.map((_, index) => `spool/${nodeName(index)}`)])
      mkdirSync(join(folder, name))
    writeFileSync(join(folder, 'checkout'), checkout)
    if (apart) cluster.hide([tmpdir(), ...code.map((name) => join(checkout, name))])
    writeFileSync(cluster.conf, slurmConf(plan))
    writeFileSync(join(folder, 'munge.key'), randomBytes(64), { mode: 0o600 })
    await startMunge(cluster)
    await Promise.all([
      cluster.startController(),
      ...plan.slurmdPorts.map((_, index) => cluster.startNode(nodeName(index))),
    ])
    await cluster.settle()
    return cluster
  } catch (error) {
    const said = ['slurmctld', ...Array.from({ length: nodes }, (_, index) => `slurmd-${nodeName(index)}`)]
      .map((name) => join(folder, 'log', `${name}.log`))
      .flatMap((path) => (existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').slice(-3) : []))
    await cluster.down()
    throw new Error([(error as Error).message, ...said].join('\n'), { cause: error })
  }
}

/** A command in a mount namespace of its own, with empty disks in the place of those folders; the cluster's own stays. */
function behind(hidden: readonly string[], folder: string, command: readonly string[]): string[] {
  const script = `set -e
keep=$1 && shift
mkdir /run/gf-kept.$$ && mount --bind "$keep" /run/gf-kept.$$
while [ "$1" != -- ]; do mount -t tmpfs -o mode=1777 tmpfs "$1" && shift; done
mkdir -p "$keep" && mount --move /run/gf-kept.$$ "$keep" && rmdir /run/gf-kept.$$
cd /
shift && exec "$@"`
  return ['unshare', '--mount', 'sh', '-c', script, 'sh', folder, ...hidden, '--', ...command]
}

async function startMunge({ folder, env }: Cluster): Promise<void> {
  const at = (name: string) => join(folder, name)
  await execute(
    'munged',
    [
      '--force',
      `--key-file=${at('munge.key')}`,
      `--socket=${at('munge.sock')}`,
      `--pid-file=${at('munged.pid')}`,
      `--log-file=${at('log/munged.log')}`,
      `--seed-file=${at('munge.seed')}`,
    ],
    { env },
  )
}

/** Clusters of this user that were made in this checkout. */
export const clusters = (): Cluster[] =>
  readdirSync(tmpdir())
    .filter((name) => name.startsWith('gf-slurm-'))
    .map((name) => join(tmpdir(), name))
    .filter(
      (path) =>
        statSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.() && existsSync(join(path, 'slurm.conf')),
    )
    .map((path) => new Cluster(path))
    .filter((cluster) => cluster.checkout === checkout)

/** Free ports in a row, of those that a system gives to nobody by itself: none is taken before its daemon starts, or starts again. */
async function freePorts(count: number): Promise<number[]> {
  for (let tries = 20; ; tries -= 1) {
    const first = 10_000 + randomInt(10_000 - count)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    const servers = ports.map(() => createServer())
    const bound = servers.map((server, index) => once(server.listen(ports[index]), 'listening'))
    const refused = (await Promise.allSettled(bound)).find((one) => one.status === 'rejected')
    for (const server of servers) if (server.listening) await new Promise((resolve) => server.close(resolve))
    if (!refused) return ports
    if (tries === 0) throw refused.reason
  }
}

/** Waits for a condition; throws an Error that names it after `ms` (default 60 s). */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  for (const deadline = performance.now() + ms; !(await holds()); ) {
    if (performance.now() > deadline) throw new Error(`waited ${ms / 1000} s for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}

const processesOf = (folder: string): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && belongs(pid, folder))

/** By the folder in its command line, or the configuration in its environment; never this process's own parents. */
function belongs(pid: number, folder: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    if (/^[ZX]$/.test(stat[stat.lastIndexOf(')') + 2]!)) return false
    if (readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`${folder}/`)) return true
    const own = spawned.has(pid)
    return (
      !own && readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`SLURM_CONF=${folder}/slurm.conf`)
    )
  } catch {
    return false
  }
}

/** This process and those above it: a shell that uses the cluster is not the cluster's. */
const spawned = new Set(ancestors(process.pid))

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '../../../packages/core/src/index.js'
import { mpiEnvironment } from '../../../scripts/mpi-env.mjs'
import type { TestHost, TestHosts } from '../../hosts/index.js'
import { must } from '../../hosts/run.js'
import { slack, sleep } from '../../support/gang.js'
import { type Running, SshProject } from '../../support/ssh-project.js'
import type { Case } from './flow.js'

export const implementations = ['openmpi4', 'openmpi5', 'mpich'] as const
export type ImplementationName = (typeof implementations)[number] | 'intel'

interface Installed {
  readonly home: string
  readonly python: string
}

/** What came of a call, as the flow keeps it: its result, or its error. */
export interface Outcome {
  readonly implementation?: string
  readonly np?: number
  readonly ranks?: readonly {
    rank: number
    node: number
    host: string
    exitCode: number
    stdout?: string
    stderr?: string
  }[]
  readonly stdout?: string
  readonly stderr?: string
  readonly code?: string
  readonly message?: string
  readonly rank?: number
  readonly node?: number
  readonly host?: string
  readonly details?: { readonly exitCode?: number; readonly signal?: string; readonly lastLines?: readonly string[] }
  readonly sinceFaultMs: number
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** A person's project with the flows of this folder for each implementation, and `behave` compiled by it. */
export class MpiProject {
  readonly files = new SshProject({})
  readonly installed = new Map<ImplementationName, Installed>()

  static async make(names: readonly ImplementationName[] = implementations): Promise<MpiProject> {
    const project = new MpiProject()
    for (const name of names) {
      const { bin, python } = await mpiEnvironment(name)
      const folder = join(project.files.folder, name)
      mkdirSync(folder)
      const compiler = join(bin, name === 'openmpi4' ? 'mpicc.openmpi' : 'mpicc')
      const env = { ...process.env, ...(name === 'intel' ? { I_MPI_ROOT: dirname(bin) } : {}) }
      execFileSync(compiler, ['-O1', '-o', join(folder, 'behave'), here('behave.c')], { env })
      for (const file of ['flow.ts', 'twice.ts', 'futures.py']) copyFileSync(here(file), join(folder, file))
      copyFileSync(here('../../../examples/mpi-hello/mpi_hello.py'), join(folder, 'mpi_hello.py'))
      project.installed.set(name, { home: dirname(bin), python })
    }
    return project
  }

  /** Starts a flow of this folder, here or on hosts, there as their user or as root. */
  start(
    name: ImplementationName,
    words: readonly string[],
    hosts?: TestHosts,
    { file = 'flow.ts', as, overSsh = false }: { file?: string; as?: 'root'; overSsh?: boolean } = {},
  ): Running {
    const { home, python } = this.installed.get(name)!
    const named = join(this.files.folder, `hosts-${name}`)
    const user = as ? ` user=${as}` : ''
    if (hosts) writeFileSync(named, hosts.names.map((host) => `${host} python=${python}${user}\n`).join(''))
    const there = hosts
      ? ['--backend', 'ssh', '--hosts-file', named, '--ssh-config', hosts.config, '--env', `GANGFLOW_MPI_HOME=${home}`]
      : []
    const env = { GANGFLOW_MPI_HOME: home, GANGFLOW_PYTHON: python, ...(overSsh ? {} : hosts?.env) }
    return this.files.start(['run', `${name}/${file}`, ...words, ...there], env)
  }

  /** Makes calls in one gang, and gives what came of each. */
  async calls(
    name: ImplementationName,
    cases: readonly (readonly Case[])[],
    hosts?: TestHosts,
    as?: 'root',
  ): Promise<Outcome[]> {
    const { code, out } = await this.start(name, ['--cases', JSON.stringify(cases)], hosts, as ? { as } : {}).ended
    if (code !== 0) throw new Error(`the flow ended with ${code}\n${out.slice(-8000)}`)
    return outcomesIn(this.files.store, /Calls\/(\w+) started/.exec(out)?.[1])
  }

  /** The same in a local gang of a host's own user, who is not root; the host sees this project and `checkout`. */
  async callsAsUser(name: ImplementationName, cases: readonly (readonly Case[])[], host: TestHost): Promise<Outcome[]> {
    const { home, python } = this.installed.get(name)!
    const take = 'cd /home/gf && rm -rf p && cp -rP "$1" p && chown -Rh gf:gf p'
    await host.must(['sh', '-c', take, 'sh', this.files.folder])
    const run = [process.execPath, `${checkout}/packages/core/dist/cli.cjs`, 'run', `p/${name}/flow.ts`]
    const env = [`GANGFLOW_MPI_HOME=${home}`, `GANGFLOW_PYTHON=${python}`]
    const argv = host.enter(['env', ...env, ...run, '--cases', JSON.stringify(cases)], 'user')
    await must(argv, { timeout: 120_000 * slack })
    // Who reads a store that another user wrote must say so: a copy is ours.
    const copy = join(this.files.folder, 'of-user')
    rmSync(copy, { recursive: true, force: true })
    cpSync(`/proc/${host.state.init.pid}/root/home/gf/p/.gangflow`, copy, { recursive: true })
    return outcomesIn(copy)
  }

  remove(): void {
    this.files.remove()
  }
}

/** What hosts must see of it for `callsAsUser`. */
export const checkout = here('../../..').replace(/\/$/, '')

/** Of a run, or the latest. */
async function outcomesIn(store: string, id?: string): Promise<Outcome[]> {
  const runs = await new Client(store).runs('Calls')
  const run = id === undefined ? runs[0] : runs.find((one) => one.id === id)
  return run!.artifacts['outcomes'] as Outcome[]
}

/** Waits until rank 5 says that it waits, where it is on this host. */
const waiting = `for i in $(seq 300); do [ -e /tmp/of-node-waits ] && break; sleep 0.1; done; rm -f /tmp/of-node-waits
`

/** Before a call that is to wait: nothing of an earlier one says so. */
export const forget = (node: number) => ({ node, command: 'rm -f /tmp/of-node-waits' })

/** Shell for the host of rank 5 that kills it. */
export const killRank = `${waiting}for p in $(pgrep -x behave); do
  if tr '\\0' '\\n' < /proc/$p/environ | grep -qxE '(OMPI_COMM_WORLD_RANK|PMI_RANK)=5'; then kill -9 $p; fi
done`

/**
 * Shell that kills programs of a launcher, by their names: those that a command line of theirs or their parent's shows.
 * `own`: of this run alone, where other tests may run theirs on the same machine.
 */
export const killProgram = (pattern: string, where: 'with rank 5' | 'elsewhere', own = false) => `${
  where === 'elsewhere' ? 'sleep 1\n' : waiting
}for p in $(pgrep '${pattern}'); do
  ${own ? `grep -qzx "GANGFLOW_RUN=$GANGFLOW_RUN" /proc/$p/environ || continue` : ':'}
  if cat /proc/$p/cmdline /proc/$(ps -o ppid= $p | tr -d ' ')/cmdline | tr '\\0' ' ' | grep -q /tmp/gf-mpi-; then kill -9 $p; fi
done`

/** What calls have left on this machine: of what lies there now, what stays. Other tests may just have theirs there. */
export async function leftHere(): Promise<string[]> {
  const there = (): string[] =>
    ['/tmp', '/dev/shm'].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.startsWith('gf-mpi-'))
        .map((name) => `${folder}/${name}`),
    )
  let left = there()
  for (const deadline = performance.now() + 15_000 * slack; left.length > 0 && performance.now() < deadline; ) {
    await sleep(100)
    const now = there()
    left = left.filter((path) => now.includes(path))
  }
  return left
}

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LineFeed } from '../../body/lines.js'
import { makeRunDirectory } from '../../body/run-directory.js'
import { openDatastore } from '../../datastore/open.js'
import { encodeBootstrap } from '../../gang/agent/bootstrap.js'
import { performUndos } from '../../gang/agent/undo.js'
import type { Allocation, Bootstrap, GangBackend, Member, TransportKind } from '../../gang/contract.js'
import type { Keeper, KeptProcess } from '../../process/contract.js'
import { certificatesAside } from '../../process/extra-certificates.js'
import { nativeHelper } from '../../process/keeper.js'
import { type LocalMachine, type LocalMemberPlan, type LocalPlan, planLocal, thisMachine } from './plan.js'

export interface LocalBackendOptions {
  /** The run's root keeper: agents hang below it, and what escapes them comes to it. */
  readonly keeper: Keeper
  /** Absolute path of the built `agent.cjs`. */
  readonly agent: string
  /** How members reach each other. Default `unix`; `ssh` as on several hosts. */
  readonly transport?: TransportKind
  /** Default: what this machine is found to have. */
  readonly machine?: LocalMachine
  /** Environment of the agents, and so of all that they start. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /**
   * Directory in which the members keep what a host of their own would: they then open nothing of the datastore and reach
   * it through the owner, as on other hosts. Default: they open it.
   */
  readonly apart?: string
}

/** Members as processes of this machine, each with an agent of its own session. */
export function localBackend(options: LocalBackendOptions): GangBackend<LocalPlan> {
  const machine = options.machine ?? thisMachine()
  const env = definedOnly(options.env ?? process.env)
  return {
    name: 'local',
    ...(options.transport ? { transport: options.transport } : {}),
    ...(options.apart === undefined ? {} : { datastore: 'relayed', code: 'local' }),
    plan: (request) => planLocal(request, machine, [process.execPath, options.agent]),
    start: (plan, bootstrap, signal) =>
      startLocal(plan, bootstrap, { keeper: options.keeper, env, signal, apart: options.apart }),
  }
}

interface Start {
  readonly keeper: Keeper
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly apart: string | undefined
}

async function startLocal(plan: LocalPlan, bootstrap: Bootstrap, start: Start): Promise<Allocation> {
  const directory = makeRunDirectory()
  // Not beside the sockets: XDG_RUNTIME_DIR is in memory, and small.
  const temps = mkdtempSync(join(tmpdir(), 'gangflow-'))
  const { flow, run, step, task, attempt } = bootstrap.address
  const disk = await openDatastore(start.apart ?? bootstrap.datastore)
  const spoolOf = (member: string) => disk.scratch('spool', flow, run, step, task, String(attempt), member)
  // The agent's compiled form is kept there; the helper is looked for once, not by each of them.
  const compiled = disk.scratch('code')
  const cache = start.apart === undefined ? undefined : join(start.apart, 'cache')
  const env = { ...certificatesAside(start.env), GANGFLOW_KEEPER: (await nativeHelper()) ?? 'none' }
  const members: LocalMember[] = []
  const release = async () => {
    await Promise.all(members.map((member) => member.reap()))
    for (const folder of [directory, temps]) rmSync(folder, { recursive: true, force: true })
    await disk.close()
  }
  const startOne = async (member: LocalMemberPlan, signal: AbortSignal) => {
    signal.throwIfAborted()
    const home = join(directory, member.memberId)
    mkdirSync(home, { mode: 0o700 })
    const spool = spoolOf(member.memberId)
    const temp = join(temps, member.memberId)
    const agent = await start.keeper.spawn({
      name: 'agent',
      argv: [...plan.argv, compiled],
      env,
      cwd: '/',
      stdin: encodeBootstrap(bootstrap, { ...member, directory: home, temp, spool, ...(cache ? { cache } : {}) }),
      spool,
      // It notices the launcher's end itself, ends what it runs, writes the verdict.
      onOwnerGone: { lingerMs: bootstrap.timeouts.linger },
      strays: 'end',
    })
    const started = new LocalMember(member, agent, { keeper: start.keeper, env: start.env, home, temp, spool })
    members.push(started)
    return started
  }
  try {
    const started = await Promise.allSettled(plan.members.map((member) => startOne(member, start.signal)))
    const failed = started.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
    return {
      members: [...members],
      release,
      // One machine has a place for as many as it had before.
      replace: (lost, as, signal) => startOne({ ...(lost as LocalMember).plan, memberId: as }, signal),
    }
  } catch (error) {
    await release()
    throw error
  }
}

interface Place {
  readonly keeper: Keeper
  readonly env: Readonly<Record<string, string>>
  /** Its sockets, undos and temporary files. */
  readonly home: string
  readonly temp: string
  readonly spool: string
}

class LocalMember implements Member {
  readonly memberId: string
  readonly host: string
  readonly agentExited: Member['agentExited']
  readonly plan: LocalMemberPlan
  readonly #agent: KeptProcess
  readonly #feed = new LineFeed(() => {})
  readonly #place: Place
  #reaped: Promise<void> | undefined

  constructor(plan: LocalMemberPlan, agent: KeptProcess, place: Place) {
    this.plan = plan
    this.memberId = plan.memberId
    this.host = plan.host
    this.#agent = agent
    this.#place = place
    this.agentExited = agent.exited
    agent.onOutput((chunk) => this.#feed.push(chunk))
  }

  async spools(): Promise<string> {
    return this.#place.spool
  }

  lastLines(): readonly string[] {
    return this.#feed.tail()
  }

  look(): ReturnType<NonNullable<Member['look']>> {
    const letter = processState(this.#agent.pid)
    const agent = `its agent (pid ${this.#agent.pid})`
    if (letter === undefined || letter === 'Z' || letter === 'X') return { state: 'gone', text: `${agent} has ended` }
    if (letter === 'T' || letter === 't')
      return { state: 'stopped', text: `${agent} was stopped by a signal (SIGSTOP)` }
    if (letter === 'D') return { state: 'stuck', text: `${agent} waits for a disk or a device` }
    return { state: 'runs', text: `${agent} runs, but does not answer` }
  }

  reap(): Promise<void> {
    this.#reaped ??= this.#reap()
    return this.#reaped
  }

  async #reap(): Promise<void> {
    const { keeper, env, home, temp, spool } = this.#place
    await this.#agent.stop({ graceMs: 0, signal: 'SIGKILL' })
    await performUndos(home, keeper, { env, cwd: '/', spool })
    for (const folder of [temp, home]) rmSync(folder, { recursive: true, force: true })
  }
}

/** The kernel's letter for what a process does, or undefined when there is none. */
function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2]
  } catch {
    return undefined
  }
}

const definedOnly = (env: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))

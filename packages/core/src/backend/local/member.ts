import { readFileSync, rmSync } from 'node:fs'
import { LineFeed } from '../../body/lines.js'
import { encodeSecret } from '../../gang/agent/bootstrap.js'
import { performUndos } from '../../gang/agent/undo.js'
import type { Bootstrap, Member } from '../../gang/contract.js'
import type { Keeper, KeptProcess } from '../../process/contract.js'
import type { LocalMemberPlan } from './plan.js'

/** Where a member lives on this machine. */
export interface MemberPlace {
  readonly keeper: Keeper
  readonly env: Readonly<Record<string, string>>
  /** Its sockets, undos and temporary files. */
  readonly home: string
  readonly temp: string
  readonly spool: string
}

/** A member on this machine: its agent hangs below the run's keeper. */
export class LocalMember implements Member {
  readonly memberId: string
  readonly host: string
  readonly agentExited: Member['agentExited']
  readonly plan: LocalMemberPlan
  readonly #agent: KeptProcess
  readonly #feed = new LineFeed(() => {})
  readonly #place: MemberPlace
  #reaped: Promise<void> | undefined

  constructor(plan: LocalMemberPlan, agent: KeptProcess, place: MemberPlace) {
    this.plan = plan
    this.memberId = plan.memberId
    this.host = plan.host
    this.#agent = agent
    this.#place = place
    this.agentExited = agent.exited
    agent.onOutput((chunk) => this.#feed.push(chunk))
  }

  /** Its agent was started ahead of need: now it learns where it belongs. */
  tell(bootstrap: Bootstrap): void {
    // Not waited for: one that ended meanwhile is told by its exit.
    this.#agent.write(encodeSecret(bootstrap)).catch(() => {})
    this.#agent.endStdin()
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

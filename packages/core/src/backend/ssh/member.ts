import { LineFeed } from '../../body/lines.js'
import { GangflowError } from '../../errors/base.js'
import type { Member } from '../../gang/contract.js'
import type { KeptProcess } from '../../process/contract.js'
import type { OpenHost } from './host.js'
import type { SshHostPlan, SshMemberPlan } from './plan.js'

/** Milliseconds that a host has for the word that a member's agent has ended: one that is cut off never gives it. */
const REACH_MS = 4_000
/** And for performing what the member had declared. */
const UNDO_MS = 20_000

/** One place for a member: a host and what it is given of it. */
export interface SshPlace {
  readonly host: OpenHost
  readonly plan: SshHostPlan
  readonly member: SshMemberPlan
}

/** What is done on the host once a member's agent has ended. */
export interface AfterMember {
  undo(): Promise<void>
  /** Brings the spools that are left into a directory of this machine. */
  spools(): Promise<string | undefined>
}

/** A member on a host: its agent hangs below the host's keeper. */
export class SshMember implements Member {
  readonly memberId: string
  readonly host: string
  readonly elsewhere = true
  readonly agentExited: Member['agentExited']
  /** Where it was started, and as what. */
  readonly place: SshPlace
  readonly #feed = new LineFeed(() => {})
  readonly #agent: KeptProcess
  readonly #after: AfterMember
  #reaped: Promise<void> | undefined
  #unreached = false

  constructor(place: SshPlace, agent: KeptProcess, after: AfterMember) {
    this.place = place
    this.memberId = place.member.memberId
    this.host = place.plan.host
    this.#agent = agent
    this.#after = after
    this.agentExited = agent.exited
    agent.onOutput((chunk) => this.#feed.push(chunk))
  }

  aside(): Promise<string | undefined> {
    return this.place.host.aside()
  }

  lastLines(): readonly string[] {
    return this.#feed.tail()
  }

  async spools(): Promise<string | undefined> {
    if (this.#unreached) throw unreached(this.host)
    return this.#after.spools()
  }

  reap(): Promise<void> {
    this.#reaped ??= this.#reap()
    return this.#reaped
  }

  /** A host that cannot be reached any more is not waited for: its keeper and agents end by themselves. */
  async #reap(): Promise<void> {
    const ended = this.#agent.stop({ graceMs: 0, signal: 'SIGKILL' }).catch(() => {})
    this.#unreached = (await before(ended, REACH_MS)) === 'late'
    if (!this.#unreached)
      await before(
        this.#after.undo().catch(() => {}),
        UNDO_MS,
      )
  }
}

async function before(work: Promise<unknown>, ms: number): Promise<'done' | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms)
  })
  const first = await Promise.race([work.then(() => 'done' as const), late])
  clearTimeout(timer)
  return first
}

const unreached = (host: string): GangflowError =>
  new GangflowError({
    code: 'E_SSH_SPOOLS',
    what: `${host} does not answer any more`,
    fix: 'what its processes said last is on the host, in spool/ of its work folder',
    host,
  })

/** A member's directory for temporary files. */
export const tempOf = ({ places }: Pick<OpenHost, 'places'>, member: string): string =>
  `${places.temp}/${places.run.split('/').at(-1)}-${member}`

/** Performs on the host what the member has declared by `atEnd` and its agent could not; mostly there is nothing. */
export async function undoOn(host: OpenHost, member: string, env: Readonly<Record<string, string>>) {
  const { places, programs, keeper } = host
  const home = `${places.run}/${member}`
  const child = await keeper.spawn({
    name: `undo-${member}`,
    argv: [
      'sh',
      '-c',
      // Its temporary files an agent removes itself, if it can.
      'temp=$1; shift; [ ! -s "$5/undo.jsonl" ] || "$@"; rm -rf "$temp" "$5"',
      'sh',
      tempOf(host, member),
      programs.node,
      programs.agent,
      programs.compiled,
      'undo',
      home,
    ],
    env,
    cwd: '/',
    spool: `${places.spool}/${member}`,
  })
  await child.exited
}

import { LineFeed } from '../../body/lines.js'
import type { Member } from '../../gang/contract.js'
import type { KeptProcess } from '../../process/contract.js'
import type { OpenHost } from './host.js'

/** Milliseconds that a host has for ending what is left of a member. */
const REAP_MS = 20_000

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
  readonly agentExited: Member['agentExited']
  readonly #feed = new LineFeed(() => {})
  readonly #agent: KeptProcess
  readonly #after: AfterMember
  #reaped: Promise<void> | undefined

  constructor(memberId: string, host: string, agent: KeptProcess, after: AfterMember) {
    this.memberId = memberId
    this.host = host
    this.#agent = agent
    this.#after = after
    this.agentExited = agent.exited
    agent.onOutput((chunk) => this.#feed.push(chunk))
  }

  lastLines(): readonly string[] {
    return this.#feed.tail()
  }

  spools(): Promise<string | undefined> {
    return this.#after.spools()
  }

  reap(): Promise<void> {
    this.#reaped ??= this.#reap()
    return this.#reaped
  }

  /** A host that cannot be reached any more is not waited for: its keeper and agents end by themselves. */
  async #reap(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, REAP_MS)
    })
    const done = this.#agent.stop({ graceMs: 0, signal: 'SIGKILL' }).then(() => this.#after.undo())
    await Promise.race([done.catch(() => {}), late])
    clearTimeout(timer)
  }
}

/** Performs on the host what the member has declared by `atEnd` and its agent could not; mostly there is nothing. */
export async function undoOn(host: OpenHost, member: string, env: Readonly<Record<string, string>>) {
  const { places, programs, keeper } = host
  const home = `${places.run}/${member}`
  const child = await keeper.spawn({
    name: `undo-${member}`,
    argv: [
      'sh',
      '-c',
      '[ ! -s "$5/undo.jsonl" ] || exec "$@"',
      'sh',
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

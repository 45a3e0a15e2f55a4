import { readFileSync, readlinkSync } from 'node:fs'
import { all, type ProcessId, words } from '../../hosts/processes.js'

export interface Seen extends ProcessId {
  readonly parent: number
  readonly zombie: boolean
  readonly words: readonly string[]
  readonly space: string
}

const known = new Map<string, Pick<Seen, 'words' | 'space'>>()

/** Every process of this machine and of the test hosts on it, with its command line and its PID namespace. */
export function look(): Seen[] {
  return all().map((one) => {
    const key = `${one.pid}/${one.start}`
    let more = known.get(key)
    // A process that was just forked has its parent's command line until it has loaded its own.
    if (!more?.words.some((word) => /(?:agent|body)\.cjs$/.test(word))) {
      more = { words: words(one.pid), space: spaceOf(one.pid) ?? more?.space ?? '' }
      known.set(key, more)
    }
    return { ...one, ...more }
  })
}

export function spaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}

/** What belongs to one run: below its launcher, or in the hosts' namespaces; remembered, wherever it moves to. */
export class RunProcesses {
  readonly #of = new Map<string, Seen>()
  readonly #users = new Set<string>()
  readonly #agents = new Set<string>()

  constructor(
    private readonly launcher: number,
    private readonly spaces: ReadonlySet<string>,
    private readonly before: ReadonlySet<string>,
  ) {}

  /** Looks again; gives what lives. */
  look(): { users: Seen[]; agents: Seen[]; all: Seen[] } {
    const now = look()
    const byPid = new Map(now.map((one) => [one.pid, one]))
    const keyOf = (one: ProcessId) => `${one.pid}/${one.start}`
    const ours = (one: Seen): boolean => {
      for (let at: Seen | undefined = one, depth = 0; at && depth < 40; at = byPid.get(at.parent), depth += 1)
        if (at.pid === this.launcher || this.#of.has(keyOf(at))) return true
      return false
    }
    for (const one of now) {
      const key = keyOf(one)
      if (one.pid === process.pid || this.before.has(key)) continue
      if ((this.spaces.has(one.space) && !isServer(one)) || ours(one)) this.#of.set(key, one)
      if (one.words.some((word) => word.endsWith('agent.cjs')) && this.#of.has(key)) this.#agents.add(key)
    }
    for (const one of now) {
      const key = keyOf(one)
      const keeper = byPid.get(one.parent)
      const agent = keeper && byPid.get(keeper.parent)
      const below = keeper && agent && isKeeper(keeper) && this.#agents.has(keyOf(agent))
      const user = keeper && this.#users.has(keyOf(keeper))
      if (this.#of.has(key) && (below || user) && !isKeeper(one)) this.#users.add(key)
    }
    const living = now.filter((one) => this.#of.has(keyOf(one)) && !one.zombie && one.pid !== this.launcher)
    return {
      all: living,
      users: living.filter((one) => this.#users.has(keyOf(one))),
      agents: living.filter((one) => this.#agents.has(keyOf(one))),
    }
  }
}

const isKeeper = (one: Seen): boolean => one.words[0]?.endsWith('gangflow-keeper') === true
/** OpenSSH's server and its sessions: they are the host's. */
const isServer = (one: Seen): boolean => /sshd/.test(one.words[0] ?? 'sshd')

export const keysNow = (): Set<string> => new Set(look().map(({ pid, start }) => `${pid}/${start}`))

/** The number of a process in its own namespace. */
export function pidInside(pid: number): number {
  const line = /^NSpid:(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1]?.trim().split(/\s+/).at(-1) ?? pid)
}

import { GangflowError } from '../../errors/base.js'
import type { Head, Succession } from './contract.js'

/** A try of one proposer: higher counters win, and no two proposers share one. */
export interface Ballot {
  readonly n: number
  readonly by: string
}

/** What a voter answers to a proposer. */
export interface Promised {
  readonly ok: boolean
  /** The highest ballot that it has promised to. */
  readonly promised: Ballot | undefined
  /** What it has accepted under that version, and under which ballot. */
  readonly accepted?: { readonly ballot: Ballot; readonly head: Head }
}

/** One member's vote, as a proposer reaches it; rejects when the member cannot be reached. */
export interface Voter {
  prepare(version: number, ballot: Ballot): Promise<Promised>
  accept(version: number, ballot: Ballot, head: Head): Promise<boolean>
  read(version: number): Promise<Promised['accepted']>
}

/**
 * A member's own vote, in its memory: a member that dies takes its vote with it, and who comes in its place is another
 * member. `hears` says whether it hears the control of the current epoch: then nobody else gets its promise.
 */
export class LocalVoter implements Voter {
  readonly #votes = new Map<number, { promised?: Ballot; accepted?: { ballot: Ballot; head: Head } }>()

  constructor(private readonly hears: (version: number, by: string) => boolean = () => false) {}

  async prepare(version: number, ballot: Ballot): Promise<Promised> {
    const vote = this.#vote(version)
    const free = vote.promised === undefined || compare(ballot, vote.promised) >= 0
    const ok = free && !this.hears(version, ballot.by)
    if (ok) vote.promised = ballot
    return { ok, promised: vote.promised, ...(vote.accepted ? { accepted: vote.accepted } : {}) }
  }

  async accept(version: number, ballot: Ballot, head: Head): Promise<boolean> {
    const vote = this.#vote(version)
    if (vote.promised && compare(ballot, vote.promised) < 0) return false
    vote.promised = ballot
    vote.accepted = { ballot, head }
    return true
  }

  async read(version: number): Promise<Promised['accepted']> {
    return this.#vote(version).accepted
  }

  #vote(version: number) {
    const vote = this.#votes.get(version) ?? {}
    this.#votes.set(version, vote)
    return vote
  }
}

export interface MajorityOptions {
  readonly me: string
  /** Milliseconds before a proposer whose ballot was overtaken tries again, longer each time and by what it drew. Default 20. */
  readonly againMs?: number
  /** The members of the roster that a version's decision belongs to: the last one's. */
  voters(version: number): Promise<ReadonlyMap<string, Voter>>
}

/** Ballots of one proposer. */
const TRIES = 12

/**
 * Versions decided by more than half of the last roster, each by single-decree Paxos (Lamport, "Paxos Made Simple",
 * 2001, §2): what a majority has accepted under a version is decided, and every later proposer finds it.
 */
export function majoritySuccession({ me, voters, againMs = 20 }: MajorityOptions): Succession {
  return {
    async read(version) {
      const all = await voters(version)
      const votes = await answers(all, (voter) => voter.read(version))
      return votes
        .flatMap((vote) => (vote ? [vote] : []))
        .find(({ ballot }) => votes.filter((vote) => vote && same(vote.ballot, ballot)).length * 2 > all.size)?.head
    },
    async decide(version, head) {
      const all = await voters(version)
      let n = 1
      let answered = 0
      for (let tries = 0; tries < TRIES; tries += 1) {
        const ballot = { n, by: me }
        const promises = await answers(all, (voter) => voter.prepare(version, ballot))
        answered = promises.length
        n = Math.max(n, ...promises.map(({ promised }) => promised?.n ?? 0)) + 1
        const granted = promises.filter(({ ok }) => ok)
        if (granted.length * 2 > all.size) {
          const bound = granted.flatMap(({ accepted }) => accepted ?? []).sort((a, b) => compare(b.ballot, a.ballot))[0]
          const value = bound?.head ?? head
          const accepted = await answers(all, (voter) => voter.accept(version, ballot, value))
          if (accepted.filter(Boolean).length * 2 > all.size) return value
        } else if (answered * 2 <= all.size) break
        await new Promise((resolve) => setTimeout(resolve, againMs * (1 + tries) * (1 + Math.random())))
      }
      throw new GangflowError({
        code: 'E_GANG_NO_QUORUM',
        what: `${answered} of ${all.size} members of the last epoch answered, and no majority of them agreed on what follows it`,
        fix: 'see which hosts are down or cut off; @retry forms the whole gang anew',
      })
    },
  }
}

/** What those answered that can be reached. */
async function answers<T>(voters: ReadonlyMap<string, Voter>, ask: (voter: Voter) => Promise<T>): Promise<T[]> {
  const asked = await Promise.allSettled([...voters.values()].map(ask))
  return asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

const same = (a: Ballot, b: Ballot): boolean => a.n === b.n && a.by === b.by
const compare = (a: Ballot, b: Ballot): number => a.n - b.n || (a.by < b.by ? -1 : a.by > b.by ? 1 : 0)

import { deferred } from '../../body/deferred.js'
import type { Peer } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { At } from '../agent/whereabouts.js'
import type { GangEvent, Member } from '../contract.js'
import type { Account, Joining, Report } from '../protocol.js'

type State = Extract<GangEvent, { type: 'member' }>['state']

/** What the owner knows of one member. */
export class OwnedMember {
  readonly memberId: string
  readonly backed: Member
  /** Index in the epoch; before it opens, the place among the member ids. */
  node = 0
  joining: Joining | undefined
  /** As peers reach it: addresses best first, where they dial it, and its interface of the gang's network. */
  way: { readonly addresses: readonly string[]; readonly listens: string; readonly link?: string } | undefined
  lease: Peer | undefined
  data: Peer | undefined
  /** `performance.now()` of its last sign of life to the owner itself. */
  heard = performance.now()
  /** And to its parent in the tree, as that one said last. */
  vouched = 0
  done: Report['completion']
  /** Its agent has ended. */
  gone = false
  /** We ended it, or told it to go: its end is no failure. */
  released = false
  /** Its agent says that it can do nothing more. */
  unable = false
  /** It counts as lost, whatever it says from now on. */
  givenUp = false
  /** What its body is at, and since when. */
  phase: { readonly name: 'setup' | 'running' | 'teardown' | 'saving'; readonly since: number } = {
    name: 'setup',
    since: performance.now(),
  }
  /** `performance.now()` of its last sign of progress: a line, a collective, `progress()`. */
  active = performance.now()
  /** Where it is in its collectives, as far as a watchdog asked for that. */
  at: At | undefined
  /** The epoch that it has taken its part in; 0 before. */
  formed = 0
  /** The epoch that was current when it was taken in. */
  since = 0
  /** Its own id, or that of the first in its place. */
  readonly root: string
  /** Number of its last report that was taken. */
  reported = 0
  account: Account | undefined
  /** What it gave by itself: the order to stop came to it from its parent in the tree. */
  accounted = deferred<Account>()
  /** Number of the last thing that it told over its data connection. */
  told = 0
  /** Nothing of it is left to be stored. */
  settled = false
  /** Its last line has come. */
  readonly drained = deferred<void>()
  /** Last lines by process, for a member that cannot tell them any more. */
  readonly tails = new Map<string, string[]>()
  state: State = 'starting'
  #wake: (() => void)[] = []

  constructor(backed: Member, root = backed.memberId) {
    this.memberId = backed.memberId
    this.root = root
    this.backed = backed
  }

  get host(): string {
    return this.joining?.host ?? this.backed.host
  }

  /** `performance.now()` when it was last known to live. */
  get aliveAt(): number {
    return Math.max(this.heard, this.vouched)
  }

  get connected(): boolean {
    return this.lease !== undefined && !this.lease.isClosed && !this.gone
  }

  /** It goes on in another epoch: what it did in the last one is no more. */
  renew(): void {
    this.done = undefined
    this.account = undefined
    this.accounted = deferred()
    this.at = undefined
    // In the next epoch it has another place in the tree.
    this.heard = this.aliveAt
    this.vouched = 0
    this.phase = { name: 'setup', since: performance.now() }
    this.active = performance.now()
    this.state = 'joined'
  }

  attach(lease: Peer): void {
    this.lease = lease
    this.heard = performance.now()
    for (const wake of this.#wake.splice(0)) wake()
  }

  remember(process: string, text: string): void {
    const tail = this.tails.get(process) ?? []
    this.tails.set(process, tail)
    tail.push(text)
    if (tail.length > 20) tail.shift()
  }

  /** What one process said last: never another's lines. */
  saidBy(process = 'body'): readonly string[] {
    return this.tails.get(process) ?? []
  }

  /** What a lost member said last: its body, else what came up last, with its name before each line. */
  lastLines(): readonly string[] {
    const [process, tail] = [...this.tails].at(-1) ?? ['body', []]
    return this.tails.get('body') ?? tail.map((line) => `${process}: ${line}`)
  }

  /**
   * Calls the agent over its lease; repeated over a new connection when the old one broke (every order may come
   * twice). Rejects with `E_GANG_MEMBER_LOST` after `limitMs`, or at once when the agent has ended.
   */
  async call<R>(method: string, params: Json, limitMs: number, payload?: Uint8Array): Promise<R> {
    const deadline = performance.now() + limitMs
    for (;;) {
      const left = deadline - performance.now()
      if (this.gone || left <= 0) throw this.lost(method)
      if (!this.lease || this.lease.isClosed) {
        await new Promise<void>((resolve) => {
          this.#wake.push(resolve)
          setTimeout(resolve, Math.min(left, 100))
        })
        continue
      }
      try {
        return (await this.lease.call(method, params, { timeoutMs: left, ...(payload && { payload }) })) as R
      } catch (error) {
        if (!GangflowError.is(error) || error.code !== 'E_PEER_CLOSED') throw error
      }
    }
  }

  lost(during: string): GangflowError {
    return new GangflowError({
      code: 'E_GANG_MEMBER_LOST',
      what: `node ${this.node} (${this.host}) did not answer '${during}'`,
      fix: 'the verdict says how it ended',
      node: this.node,
      host: this.host,
    })
  }
}

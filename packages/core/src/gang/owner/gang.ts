import type { PackageRef } from '../../compile/package/contract.js'
import type { EpochLosses } from '../../errors/verdict.js'
import type { Json } from '../../flow/values.js'
import { openArbiter, versionOf } from '../arbiter/arbiter.js'
import type { Arbiter } from '../arbiter/contract.js'
import { datastoreSuccession } from '../arbiter/in-datastore.js'
import type { GangAttempt, GangEvent, GangTimeouts, StopReason } from '../contract.js'
import { type Elastic, elasticOf } from '../elastic.js'
import type { Placed } from '../judge.js'
import type { Failure, LiveLine, Report } from '../protocol.js'
import { fanOutOf } from '../tree.js'
import type { VerdictFacts } from '../verdict.js'
import type { OwnedMember } from './members.js'

type State = Extract<GangEvent, { type: 'member' }>['state']

/** The owner's knowledge of one attempt: its members, and what failed, each placed on the owner's clock. */
export class OwnedGang {
  readonly attempt: GangAttempt
  readonly timeouts: GangTimeouts
  readonly members = new Map<string, OwnedMember>()
  readonly failures: Placed[] = []
  epoch = 0
  /** A new epoch is being formed: what is still told of the last one's processes is history. */
  forming = false
  /** Ids of members that were given up. */
  readonly former = new Set<string>()
  /** What is still brought of them, or ended on their hosts. */
  readonly parting: Promise<void>[] = []
  /** What was lost, epoch by epoch. */
  readonly losses: EpochLosses[] = []
  readonly arbiter: Arbiter
  /** Why it is not formed again, though the step would have it. */
  notAgain: VerdictFacts['notAgain']
  /** The current epoch's formation, packed. */
  formation: Uint8Array | undefined
  /** The flow's code, where its hosts are sent it. */
  package: PackageRef | undefined
  stop: StopReason | undefined
  #stoppedAt = Number.POSITIVE_INFINITY
  #placed: { readonly epoch: number; readonly members: readonly OwnedMember[] } = { epoch: 0, members: [] }
  /** No events after this. */
  closed = false
  /** Settles at the first failure, or at the runtime's stop. */
  ending!: Promise<void>
  #end!: () => void
  #progressed: (() => void) | undefined

  constructor(attempt: GangAttempt, timeouts: GangTimeouts) {
    this.attempt = attempt
    this.timeouts = timeouts
    this.arbiter = openArbiter({
      kind: 'owner',
      // It reaches the disk with the record of the attempt's end, at the latest.
      succession: datastoreSuccession(attempt.datastore, attempt.request?.address, false),
      me: 'launcher',
      minNodes: 1,
      size: attempt.request?.size,
      ...(attempt.restart === undefined ? {} : { restart: attempt.restart }),
    })
    this.#arm()
    const stopped = () => {
      this.stop = attempt.signal.reason as StopReason
      this.#stoppedAt = performance.now()
      this.#end()
    }
    if (attempt.signal.aborted) stopped()
    else attempt.signal.addEventListener('abort', stopped, { once: true })
  }

  /** Goes on after what a former start of the same attempt has left. */
  async takeUp(): Promise<void> {
    if (this.attempt.restart) this.epoch = versionOf(await this.arbiter.head())
  }

  /** What the step said of going on after a loss; undefined where the loss of any member is the end. */
  get elastic(): Elastic | undefined {
    return elasticOf(this.attempt.request.step, this.attempt.request.size)
  }

  /** How wide the tree of its members is; undefined without one. */
  get fanOut(): number | undefined {
    return this.attempt.fanOut ?? fanOutOf(this.members.size)
  }

  /** What has failed until now is history: the next failure is another. */
  forget(): void {
    this.failures.length = 0
    this.#arm()
    if (this.stop) this.#end()
  }

  #arm(): void {
    this.ending = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  get ordered(): OwnedMember[] {
    return [...this.members.values()].sort((a, b) => a.node - b.node)
  }

  /** The member at an index of the current epoch. */
  at(node: number): OwnedMember | undefined {
    if (this.#placed.epoch !== this.epoch) this.#placed = { epoch: this.epoch, members: this.ordered }
    return this.#placed.members[node]
  }

  /** What failed before the runtime asked for the end: what fails after it is no cause of it. */
  get causes(): readonly Placed[] {
    return this.failures.filter(({ at }) => at < this.#stoppedAt)
  }

  /** Waits until `ready()` after something happened, or for the gang's ending. */
  async until(ready: () => boolean): Promise<'ready' | 'ending'> {
    for (;;) {
      if (ready()) return 'ready'
      const happened = new Promise<'on'>((resolve) => {
        this.#progressed = () => resolve('on')
      })
      if ((await Promise.race([happened, this.ending.then(() => 'ending' as const)])) === 'ending') return 'ending'
    }
  }

  /** Something happened that a wait may be for. */
  progressed(): void {
    this.#progressed?.()
  }

  fail(failure: Failure, at: number, node?: number): void {
    this.failures.push({ ...failure, at, ...(node === undefined ? {} : { node }) })
    this.#end()
  }

  emit(event: GangEvent): void {
    if (!this.closed) this.attempt.emit(event)
  }

  state(member: OwnedMember, state: State): void {
    if (member.state === state || member.state === 'gone') return
    // How its own part ended is not overwritten by the ending of the others.
    if ((member.state === 'failed' || member.state === 'done') && state !== 'gone' && state !== 'failed') return
    member.state = state
    this.emit({
      type: 'member',
      node: member.node,
      host: member.host,
      state,
      epoch: Math.max(1, this.epoch + (this.forming ? 1 : 0)),
    })
  }

  reported(member: OwnedMember, report: Report): void {
    const { seq = 0, ageMs, ownerAt } = report
    if (seq > 0 && seq <= member.reported) return
    member.reported = Math.max(member.reported, seq)
    if (this.#isHistory(member, report)) return
    // It cannot have happened later than its arrival minus its age; earlier, by what the way took.
    const latest = performance.now() - ageMs
    const at = ownerAt === undefined ? latest : Math.min(latest, Math.max(ownerAt, latest - this.timeouts.launcher))
    if (report.kind === 'done') {
      member.done = report.completion
      this.state(member, 'done')
      this.progressed()
    } else if (report.failure) {
      // Before the epoch opens a member does not know which node it is.
      const unplaced = (report.failure.casualty.node ?? 0) < 0
      const casualty = { ...report.failure.casualty, ...(unplaced ? { node: member.node } : {}) }
      // Without its keeper or its agent a member can do nothing more.
      if (lasting.has(casualty.kind)) member.unable = true
      const lastLines = casualty.lastLines?.length ? casualty.lastLines : member.saidBy(casualty.process)
      this.state(member, 'failed')
      this.fail(
        { ...report.failure, casualty: { ...casualty, ...(lastLines.length > 0 ? { lastLines } : {}) } },
        at,
        member.node,
      )
    }
  }

  /** Told of processes of an epoch that is over, or by a member that was given up. */
  #isHistory(member: OwnedMember, { kind, epoch, failure }: Report): boolean {
    if (this.former.has(member.memberId)) return true
    if (epoch === undefined || epoch > this.epoch || (epoch === this.epoch && !this.forming)) return false
    return kind === 'done' || !lasting.has(failure?.casualty.kind ?? '')
  }

  /** The agent itself is lost: by its exit, its silence, or its connection. */
  lose(
    member: OwnedMember,
    lost: {
      at: number
      code: string
      summary?: string
      fix?: string
      exitCode?: number | null
      signal?: string | null
    },
  ): void {
    if (member.released) return
    member.givenUp = true
    const pid = member.joining?.pid
    const said = member.lastLines()
    // Of one that never came up, its own complaint is all that there is.
    const lastLines = said.length > 0 ? said : (member.backed.lastLines?.() ?? [])
    this.state(member, 'failed')
    this.fail(
      {
        cause: 'infrastructure',
        weight: 'own',
        code: lost.code,
        ...(lost.summary ? { summary: lost.summary } : {}),
        ...(lost.fix ? { fix: lost.fix } : {}),
        casualty: {
          kind: 'agent',
          node: member.node,
          memberId: member.memberId,
          host: member.host,
          ...(pid === undefined ? {} : { pid }),
          ...(lost.exitCode == null ? {} : { exitCode: lost.exitCode }),
          ...(lost.signal ? { signal: lost.signal } : {}),
          ...(lastLines.length > 0 ? { lastLines } : {}),
        },
      },
      lost.at,
      member.node,
    )
  }

  /** The keeper above all agents of this machine was killed, and the kernel ended them with it. */
  loseKeeper(at: number): void {
    if (this.failures.some(({ code }) => code === 'E_KEEPER_LOST')) return
    for (const member of this.ordered) this.state(member, 'failed')
    this.fail(
      {
        cause: 'infrastructure',
        weight: 'own',
        code: 'E_KEEPER_LOST',
        casualty: { kind: 'keeper', pid: this.attempt.keeper.pid },
        summary: 'the keeper of this run (gangflow-keeper) was ended, and every member with it',
        fix: "find out who ended it (the kernel when memory ran out, see 'dmesg | tail'; a person; a scheduler), then `gangflow resume`: no @retry helps, all that a run starts hangs below it",
      },
      at,
    )
  }

  lines(member: OwnedMember, lines: readonly LiveLine[]): void {
    member.active = performance.now()
    for (const line of lines) {
      member.remember(line.process, line.text)
      this.emit({ type: 'line', node: member.node, ...line })
    }
  }

  progress(member: OwnedMember, data: Json): void {
    member.active = performance.now()
    this.emit({ type: 'progress', node: member.node, data })
  }
}

/** What a member does not outlive. */
const lasting: ReadonlySet<string> = new Set(['keeper', 'agent'])

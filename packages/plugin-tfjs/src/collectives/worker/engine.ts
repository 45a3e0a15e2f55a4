import { makeKernel } from '../kernel.js'
import { incomingBytes } from '../plan.js'
import { type CallShape, describe, sameShape } from '../shape.js'
import { Absent } from './absent.js'
import { type CallInWork, makeCall } from './calls.js'
import type { Control, ControlOwner, Frame } from './control.js'
import type { Header, InLink, InLinkOwner } from './in-link.js'
import { Inquiry } from './inquiry.js'
import type { OutLink } from './out-link.js'
import {
  BELL,
  type CallRequest,
  DONE,
  FAILED,
  type FailureFacts,
  type FromWorker,
  type WorkerStart,
} from './protocol.js'
import type { Stream } from './stream.js'
import { View } from './view.js'

/** A connection that broke without its rank being known to be gone counts as its loss after this time. */
const BROKEN_MS = 2000
/** Of a rank that is gone nothing comes any more once nothing has come for so long: its host may have taken the end with it. */
const DRAIN_MS = 1000
/** Shapes of calls done, for the account of a mismatch that shows late. */
const REMEMBERED = 64

/** One rank's calls, one after the other; knows connections only as links. */
export class Engine implements InLinkOwner, ControlOwner {
  readonly view: View
  readonly ins = new Map<number, InLink>()
  readonly outs = new Map<number, OutLink>()
  readonly controls: Control[] = []
  failure: FailureFacts | undefined
  ready = false
  closing = false
  made = 0
  private done = 0
  private active: CallInWork | undefined
  private deadline = 0
  private readonly queue: CallRequest[] = []
  private readonly remembered = new Map<number, CallShape>()
  private readonly absent: Absent
  private readonly inquiry: Inquiry
  private readonly seen = new Set<string>()
  private readonly kernel
  private readonly state: Int32Array
  private pumping = false

  constructor(
    private readonly start: WorkerStart,
    private readonly post: (message: FromWorker) => void,
    /** Takes the data connections down. */
    private readonly cutData: () => void,
  ) {
    this.view = new View(start.memory)
    this.kernel = makeKernel(start.memory)
    this.state = new Int32Array(start.state)
    this.absent = new Absent(start.size)
    this.inquiry = new Inquiry(start, this)
  }

  call(request: CallRequest): void {
    this.made = request.sequence
    if (this.failure) return
    this.queue.push(request)
    this.pump()
  }

  /** Ends every call here and, by the control connections, everywhere. */
  fail(facts: FailureFacts, tell = true): void {
    if (this.failure || this.closing) return
    this.failure = facts
    this.queue.length = 0
    this.active = undefined
    // First of all: whoever hears of it here may end this thread at once.
    if (tell) this.tell({ type: 'fail', by: this.start.rank, facts })
    this.cutData()
    this.post({ type: 'failed', facts })
    Atomics.store(this.state, FAILED, 1)
    this.ring()
  }

  abandon(sequence: number, why: string): void {
    if (sequence !== 0 && this.done >= sequence) return
    const active = this.active?.request
    const call = active?.sequence === sequence ? `call #${sequence}, ${describe(active.shape)}` : `call #${sequence}`
    this.fail({
      code: 'E_TF_CALL_ABORTED',
      what: `rank ${this.start.rank} gave up ${sequence === 0 ? 'connecting' : call}: ${why}`,
      fix: 'the collectives are over on every rank: connect anew where the work goes on',
      rank: this.start.rank,
    })
  }

  /** Four times a second. */
  tick(now: number): void {
    if (this.active && !this.inquiry.isUnderWay && now >= this.deadline) void this.late(this.active)
  }

  private async late(call: CallInWork): Promise<void> {
    const facts = await this.inquiry.about(call)
    if (this.active === call) this.fail(facts)
  }

  tell(frame: Frame, except?: Control): void {
    this.seen.add(JSON.stringify(frame))
    for (const control of this.controls) if (control !== except) control.send(frame)
  }

  gone(rank: number, why: string): void {
    if (this.absent.isGone(rank) || this.absent.hasLeft(rank) || this.failure || this.closing) return
    const frame = { type: 'gone', rank, why } as const
    this.tell(frame)
    this.heardGone(frame)
  }

  // What the connections tell.

  arrived(link: InLink, { sequence, shape }: Header): Stream | 'hold' | 'stop' {
    if (this.failure) return 'stop'
    const active = this.active?.request
    if (sequence > (active?.sequence ?? this.done)) return 'hold'
    const mine = active?.sequence === sequence ? active.shape : this.remembered.get(sequence)
    const stream = active?.sequence === sequence ? this.active!.streams.get(link.from) : undefined
    if (mine && sameShape(mine, shape) && stream) return stream
    this.fail({
      code: 'E_TF_CALL_MISMATCH',
      what: `call #${sequence} is not the same on all ranks: rank ${link.from} asked for ${describe(shape)}, rank ${this.start.rank} for ${mine ? describe(mine) : 'something else'}`,
      fix: 'make the same calls in the same order, with the same lengths and kinds, on every rank',
      rank: link.from,
    })
    return 'stop'
  }

  streamDone(link: InLink): void {
    this.active?.came(link.from)
    this.settle()
  }

  garbled(link: InLink): void {
    this.fail({
      code: 'E_TF_VERSION',
      what: `rank ${link.from} sent what is no call`,
      fix: 'install the same version of @gangflow/plugin-tfjs for every rank',
      rank: link.from,
    })
  }

  expected({ shape }: Header): number {
    return incomingBytes(shape, this.start.rank, this.start.size)
  }

  linkEnded(link: InLink): void {
    if (this.failure || this.closing || this.absent.hasLeft(link.from)) return
    if (this.absent.isGone(link.from)) this.cut(link)
    else setTimeout(() => this.gone(link.from, 'its connection broke'), BROKEN_MS).unref()
  }

  controlEnded(control: Control): void {
    this.gone(control.rank, control.why)
  }

  frame(from: Control, frame: Frame): void {
    if (frame.type === 'ask') {
      this.inquiry.answer(frame)
      return
    }
    const key = JSON.stringify(frame)
    if (this.seen.has(key)) return
    this.tell(frame, from)
    if (frame.type === 'fail') this.fail(frame.facts, false)
    else if (frame.type === 'gone') this.heardGone(frame)
    else if (frame.type === 'bye') {
      this.absent.noteLeft(frame.rank, frame.calls)
      this.judge()
    } else this.heardCut(frame)
  }

  // Calls, one after the other.

  private pump(): void {
    if (this.pumping) return
    this.pumping = true
    while (!this.active && !this.failure) {
      const request = this.queue.shift()
      if (!request) break
      this.begin(request)
    }
    this.pumping = false
  }

  private begin(request: CallRequest): void {
    const { sequence, shape } = request
    this.remembered.set(sequence, shape)
    this.remembered.delete(sequence - REMEMBERED)
    const { rank, size, layout } = this.start
    const floor = { rank, size, layout, view: this.view, kernel: this.kernel, outs: this.outs }
    this.active = makeCall(request, floor)
    this.deadline = performance.now() + request.timeoutMs
    if (this.judge()) return
    this.active.start()
    for (const link of this.ins.values()) link.release(sequence)
    this.settle()
  }

  /** The call is done when all has come, and all has gone: what still waits to be written lies in its work space. */
  private settle(): void {
    const { active } = this
    if (!active?.received) return
    const busy = [...this.outs.values()].find(({ idle }) => !idle)
    if (busy) {
      busy.whenIdle(() => this.active === active && this.settle())
      return
    }
    const { sequence, blocking } = active.request
    this.active = undefined
    this.done = sequence
    Atomics.store(this.state, DONE, sequence | 0)
    if (blocking) this.ring()
    else this.post({ type: 'done', sequence })
    this.pump()
  }

  private ring(): void {
    Atomics.add(this.state, BELL, 1)
    Atomics.notify(this.state, BELL)
  }

  // Ranks that are no longer there.

  /** Whether the call in work has become impossible; it has failed then. */
  private judge(): boolean {
    if (!this.active || this.failure) return this.failure !== undefined
    const { request, algorithm } = this.active
    const facts = this.absent.verdict(request.sequence, request.shape, algorithm)
    if (facts) this.fail(facts)
    return facts !== undefined
  }

  private heardGone(frame: Frame & { type: 'gone' }): void {
    const { rank, why } = frame
    if (rank === this.start.rank || !this.ready) {
      const lost = rank === this.start.rank ? `the others took rank ${rank} for lost: ${why}` : undefined
      this.fail({
        code: 'E_TF_RANK_LOST',
        what: lost ?? `rank ${rank} was lost while the ranks were connecting: ${why}`,
        fix: "see why that rank ended: in a gang, the run's verdict and that node's log say it",
        rank,
      })
      return
    }
    this.absent.noteGone(rank, why)
    const link = this.ins.get(rank)
    if (link?.ended) this.cut(link)
    if (!link || link.ended) return
    link.drain()
    this.endWhenQuiet(link)
  }

  private endWhenQuiet(link: InLink): void {
    const { received } = link
    const look = () => {
      if (link.received === received) link.end()
      else this.endWhenQuiet(link)
    }
    // Looked at after a turn of reading: a thread that was kept from running has not yet read what is there.
    setTimeout(() => setImmediate(look), DRAIN_MS).unref()
  }

  /** The last of what this rank received from one that is gone. */
  private cut(link: InLink): void {
    const frame = { type: 'cut', rank: link.from, to: this.start.rank, complete: link.complete } as const
    this.tell(frame)
    this.heardCut(frame)
  }

  private heardCut({ rank, to, complete }: Frame & { type: 'cut' }): void {
    this.absent.noteCut(rank, to, complete)
    this.judge()
  }
}

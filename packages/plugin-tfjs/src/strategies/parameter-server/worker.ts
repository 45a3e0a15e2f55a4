import { GangflowError } from '@gangflow/core'
import type { Optimizer, Tensor } from '@tensorflow/tfjs'
import type { Tf } from '../../backends/tf.js'
import type { Collectives } from '../../collectives/contract.js'
import { partOf } from '../../collectives/split.js'
import type { GradientExchange, NanPolicy, Share } from '../gradients.js'
import type { Applying, Gradients, Model } from '../model.js'
import { assign, type Layout, layoutOf, restoreState } from './layout.js'
import { type Links, namedSync } from './links.js'
import { shareEnd } from './share-end.js'
import { Ask, At, HEAD } from './wire.js'

/** A server as this worker sees it. */
interface Server {
  readonly pair: Collectives
  readonly rank: number
  readonly begin: number
  readonly end: number
  readonly request: Float32Array
  readonly answer: Float32Array
}

interface Session {
  readonly model: Model
  readonly layout: Layout
  readonly optimizer: Optimizer
  readonly servers: readonly Server[]
  readonly values: Float32Array
}

/** A worker's optimizers send their gradients to the servers, and take the variables that these answer with. */
export class WorkerExchange implements GradientExchange {
  share: Share | undefined
  private steps = 0
  private session: Session | undefined
  private readonly attached = new WeakSet<object>()

  constructor(
    private readonly tf: Tf,
    private readonly links: Links,
    private readonly nan: NanPolicy,
  ) {}

  attach<T extends Optimizer>(optimizer: T): T {
    if (this.attached.has(optimizer)) return optimizer
    this.attached.add(optimizer)
    const applying = optimizer as unknown as Applying
    const apply = applying.applyGradients.bind(optimizer)
    applying.applyGradients = (given) => {
      if (this.session?.optimizer === (optimizer as Optimizer)) this.step(this.session, given)
      else apply(given)
    }
    return optimizer
  }

  async open(model: Model): Promise<void> {
    const layout = layoutOf(model)
    const { pairs, servers: count, workers } = this.links
    const servers = pairs.map((pair, index) => {
      const { begin, end } = partOf(layout.length, count, index)
      const [request, answer] = [0, 1].map(() => pair.buffer('float32', HEAD + end - begin))
      return { pair, rank: workers + index, begin, end, request: request!, answer: answer! }
    })
    const { optimizer } = model
    this.session = { model, layout, optimizer, servers, values: new Float32Array(layout.length) }
  }

  /** Waits until every worker has made its steps of the epoch, then takes the variables as all of these left them. */
  settle(): void {
    if (!this.session) return
    this.ask(this.session, Ask.rest)
    this.links.among!.barrierSync()
    this.ask(this.session, Ask.pull)
    this.take(this.session)
  }

  /** Gives rank 0's optimizer the state that the servers have; no worker goes on before. */
  async gather(): Promise<void> {
    const session = this.session!
    const { among } = this.links
    if (among!.rank === 0) {
      this.ask(session, Ask.state)
      const [first] = session.servers as [Server]
      const iterations = first.answer[At.ask] as number
      const slots = Array.from({ length: first.answer[At.rows] as number }, () => {
        const slot = new Float32Array(session.layout.length)
        for (const { pair, rank, begin, end } of session.servers)
          slot.set(
            namedSync(this.links, rank, () => pair.broadcastSync(new Float32Array(end - begin), { from: 1 })),
            begin,
          )
        return slot
      })
      await restoreState(this.tf, session.optimizer, session.layout, { iterations, slots })
    }
    await among!.barrier()
  }

  async close(history: unknown): Promise<void> {
    const session = this.session!
    this.ask(session, Ask.end)
    this.session = undefined
    for (const { pair, request, answer } of session.servers) {
      pair.release(request)
      pair.release(answer)
    }
    await shareEnd(this.tf, this.links, session, undefined, history)
  }

  private step(session: Session, given: Gradients): void {
    this.steps += 1
    const share: Share = this.share ?? { rows: 1 }
    share.total = share.rows
    const broken = share.rows === 0 ? undefined : this.fill(session, given)
    if (broken !== undefined && this.nan === 'error') throw this.notFinite(broken)
    share.skipped = broken !== undefined && this.nan === 'skip'
    this.ask(session, Ask.push, [share.rows, rateOf(session.optimizer), share.skipped ? 1 : 0])
    this.take(session)
  }

  /** Asks all servers, then hears all: they work at the same time. */
  private ask({ servers }: Session, ask: number, head: readonly number[] = []): void {
    for (const { pair, rank, request } of servers) {
      request[At.ask] = ask
      request.set(head, 1)
      namedSync(this.links, rank, () => pair.broadcastSync(request, { from: 0 }))
    }
    for (const { pair, rank, answer } of servers)
      namedSync(this.links, rank, () => pair.broadcastSync(answer, { from: 1 }))
  }

  private take({ layout, servers, values }: Session): void {
    for (const { begin, answer } of servers) values.set(answer.subarray(HEAD), begin)
    assign(this.tf, layout, values)
  }

  /** Says which variable's gradient is not finite. One that the loss does not depend on is zero. */
  private fill({ layout, servers, values }: Session, given: Gradients): string | undefined {
    const all = Array.isArray(given) ? Object.fromEntries(given.map(({ name, tensor }) => [name, tensor])) : given
    let at = 0
    let broken: string | undefined
    for (const { name, val } of layout.variables) {
      const own = all[val.name]?.dataSync() as Float32Array | undefined
      if (own) values.set(own, at)
      else values.fill(0, at, at + val.size)
      let trace = 0
      for (let index = at; index < at + val.size; index++) trace += (values[index] as number) * 0
      if (trace !== 0) broken ??= name
      at += val.size
    }
    for (const { begin, end, request } of servers) request.set(values.subarray(begin, end), HEAD)
    return broken
  }

  private notFinite(variable: string): GangflowError {
    const { rank } = this.links.all
    return new GangflowError({
      code: 'E_TF_NAN',
      what: `step ${this.steps}: the gradient of '${variable}' is not finite, from rank ${rank}`,
      fix: "lower the learning rate, clip, or look at the data; nan: 'skip' leaves such steps out, 'ignore' goes on as one process would",
      rank,
    })
  }
}

/** The rate that an optimizer works with: that of SGD is where `setLearningRate` puts it. */
function rateOf(optimizer: Optimizer): number {
  const { c, learningRate } = optimizer as unknown as { c?: Tensor; learningRate?: number }
  return c ? -(c.dataSync()[0] as number) : (learningRate ?? 0)
}

import { milliseconds } from '@gangflow/core'
import { checkInto, shapeOf } from './check.js'
import type {
  BufferKind,
  BufferOf,
  CallOptions,
  Collectives,
  IntoOptions,
  Numbers,
  ReduceOptions,
  Values,
} from './contract.js'
import { type Arena, bytesOf, plainArray } from './memory.js'
import { type CallShape, workBytes } from './shape.js'
import { partOf } from './split.js'

/** A call made ready in the shared memory. */
export interface Prepared<T> {
  readonly shape: CallShape
  /** Where its work space begins. */
  readonly at: number
  /** Takes the result out, and gives back what was borrowed. */
  finish(): T
}

const DEFAULT_TIMEOUT_MS = 600_000

/** The public calls, in terms of one: perform this shape on that work space. */
export abstract class Caller implements Collectives {
  abstract readonly transport: Collectives['transport']

  constructor(
    readonly rank: number,
    readonly size: number,
    protected readonly arena: Arena,
    private readonly timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ) {}

  abstract close(): Promise<void>
  /** Throws when no call can be made any more. */
  protected abstract ready(): void
  protected abstract perform<T>(call: Prepared<T>, timeoutMs: number, signal: AbortSignal | undefined): Promise<T>
  protected abstract performSync<T>(call: Prepared<T>, timeoutMs: number): T

  async allReduce<T extends Numbers>(values: T, options: ReduceOptions = {}): Promise<T> {
    return this.run(this.inPlace('allReduce', values, options), options)
  }
  allReduceSync<T extends Numbers>(values: T, options: ReduceOptions = {}): T {
    return this.runSync(this.inPlace('allReduce', values, options), options)
  }
  async broadcast<T extends Values>(values: T, options: CallOptions & { readonly from?: number } = {}): Promise<T> {
    return this.run(this.inPlace('broadcast', values, options), options)
  }
  broadcastSync<T extends Values>(values: T, options: CallOptions & { readonly from?: number } = {}): T {
    return this.runSync(this.inPlace('broadcast', values, options), options)
  }
  async allGather<T extends Values>(values: T, options: CallOptions & IntoOptions<T> = {}): Promise<T> {
    return this.run(this.gathering(values, options.into), options)
  }
  allGatherSync<T extends Values>(values: T, options: CallOptions & IntoOptions<T> = {}): T {
    return this.runSync(this.gathering(values, options.into), options)
  }
  async reduceScatter<T extends Numbers>(values: T, options: ReduceOptions & IntoOptions<T> = {}): Promise<T> {
    return this.run(this.scattering(values, options), options)
  }
  reduceScatterSync<T extends Numbers>(values: T, options: ReduceOptions & IntoOptions<T> = {}): T {
    return this.runSync(this.scattering(values, options), options)
  }
  async barrier(options: CallOptions = {}): Promise<void> {
    return this.run(this.meeting(), options)
  }
  barrierSync(options: CallOptions = {}): void {
    this.runSync(this.meeting(), options)
  }

  buffer<K extends BufferKind>(kind: K, length: number): BufferOf<K> {
    const array = this.arena.array(kind, this.arena.take(bytesOf(kind, length)), length)
    array.fill(0)
    return array
  }
  release(buffer: Values): void {
    const at = this.arena.placeOf(buffer)
    if (at !== undefined) this.arena.give(at)
  }

  private run<T>(call: Prepared<T>, { timeout, signal }: CallOptions): Promise<T> {
    return this.perform(call, timeout === undefined ? this.timeoutMs : milliseconds(timeout), signal)
  }
  private runSync<T>(call: Prepared<T>, { timeout, signal }: CallOptions): T {
    signal?.throwIfAborted()
    return this.performSync(call, timeout === undefined ? this.timeoutMs : milliseconds(timeout))
  }

  private inPlace<T extends Values>(operation: 'allReduce' | 'broadcast', values: T, options: object): Prepared<T> {
    this.ready()
    const shape = shapeOf(operation, values, this.size, options)
    const own = this.arena.placeOf(values)
    if (own !== undefined) return { shape, at: own, finish: () => values }
    const { at, array } = this.borrow(shape, values.length)
    if (operation === 'allReduce' || this.rank === shape.from) array.set(values)
    return {
      shape,
      at,
      finish: () => {
        values.set(array)
        this.arena.give(at)
        return values
      },
    }
  }

  private gathering<T extends Values>(values: T, into: T | undefined): Prepared<T> {
    this.ready()
    const shape = shapeOf('allGather', values, this.size, {})
    const length = values.length * this.size
    if (into) checkInto(into, shape.kind, length, 'allGather')
    const own = into && this.arena.placeOf(into)
    const { at, array } = own === undefined ? this.borrow(shape, length) : { at: own, array: into! }
    array.set(values, this.rank * values.length)
    return {
      shape,
      at,
      finish: () => {
        if (own !== undefined) return into!
        const result = into ?? (plainArray(shape.kind, length) as unknown as T)
        result.set(array)
        this.arena.give(at)
        return result
      },
    }
  }

  private scattering<T extends Numbers>(values: T, { into, reduction }: ReduceOptions & IntoOptions<T>): Prepared<T> {
    this.ready()
    const shape = shapeOf('reduceScatter', values, this.size, { reduction })
    const { begin, end } = partOf(values.length, this.size, this.rank)
    if (into) checkInto(into, shape.kind, end - begin, 'reduceScatter')
    const own = this.arena.placeOf(values)
    const { at, array } = own === undefined ? this.borrow(shape, values.length) : { at: own, array: values }
    if (own === undefined) array.set(values)
    return {
      shape,
      at,
      finish: () => {
        const result = into ?? (plainArray(shape.kind, end - begin) as unknown as T)
        result.set(array.subarray(begin, end))
        if (own === undefined) this.arena.give(at)
        return result
      },
    }
  }

  private meeting(): Prepared<void> {
    this.ready()
    return { shape: shapeOf('barrier', undefined, this.size, {}), at: 0, finish: () => {} }
  }

  private borrow(shape: CallShape, length: number): { at: number; array: Values } {
    const at = this.arena.take(workBytes(shape, this.size))
    return { at, array: this.arena.array(shape.kind, at, length) }
  }
}

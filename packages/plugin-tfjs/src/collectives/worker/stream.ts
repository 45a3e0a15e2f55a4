import type { Kernel } from '../kernel.js'
import type { Segment } from '../plan.js'
import { type CallShape, elementSize } from '../shape.js'
import type { OutLink } from './out-link.js'
import type { LinkSpace } from './protocol.js'
import type { View } from './view.js'

/** Most bytes of one read: more at a time gained nothing, less costs (64 KiB: a third). */
export const READ_BYTES = 256 * 1024

export interface StreamPlan {
  readonly shape: CallShape
  readonly size: number
  /** Where the call's work space begins. */
  readonly at: number
  readonly segments: readonly Segment[]
  readonly next: OutLink | undefined
}

/** The bytes of one call that come on one connection: each is worked into its place and passed on as it arrives. */
export class Stream {
  /** Bytes still to come. */
  remaining: number
  private index = 0
  private done = 0
  private sideFilled = 0
  private readonly element: number

  constructor(
    private readonly plan: StreamPlan,
    private readonly space: LinkSpace,
    private readonly view: View,
    private readonly kernel: Kernel,
  ) {
    this.element = elementSize[plan.shape.kind]
    this.remaining = plan.segments.reduce((sum, { bytes }) => sum + bytes, 0)
    this.skipEmpty()
  }

  /** Where the next bytes belong, when they can be read right there. */
  room(): Uint8Array<SharedArrayBuffer> | undefined {
    const segment = this.plan.segments[this.index]
    if (segment?.mode !== 'copy') return undefined
    return this.view.bytes(this.here(segment), Math.min(segment.bytes - this.done, READ_BYTES))
  }

  /** Works in bytes that lie at a place of the shared memory; gives how many of them were this call's. */
  take(from: number, bytes: number): number {
    let used = 0
    for (;;) {
      const segment = this.plan.segments[this.index]
      if (!segment || used === bytes) return used
      used += this.some(segment, from + used, Math.min(bytes - used, segment.bytes - this.done - this.sideFilled))
    }
  }

  private some(segment: Segment, from: number, bytes: number): number {
    const here = this.here(segment)
    if (segment.mode === 'copy') {
      if (from !== here) this.view.move(here, from, bytes)
      this.advance(segment, here, bytes)
      return bytes
    }
    if (this.sideFilled > 0 || bytes < this.element) {
      const part = Math.min(this.element - this.sideFilled, bytes)
      this.view.move(this.space.side + this.sideFilled, from, part)
      this.sideFilled += part
      if (this.sideFilled < this.element) return part
      this.sideFilled = 0
      this.join(segment, here, this.space.side, this.element)
      return part
    }
    const whole = bytes - (bytes % this.element)
    this.join(segment, here, from, whole)
    return whole
  }

  private join(segment: Segment, here: number, from: number, bytes: number): void {
    const { kind, reduction } = this.plan.shape
    this.kernel.join(reduction, kind, here, from, bytes)
    if (segment.mode === 'finish' && reduction === 'mean') this.kernel.divide(kind, here, bytes, this.plan.size)
    this.advance(segment, here, bytes)
  }

  private advance(segment: Segment, here: number, bytes: number): void {
    this.done += bytes
    this.remaining -= bytes
    if (segment.forward) this.plan.next!.write(here, bytes)
    if (this.done < segment.bytes) return
    this.index += 1
    this.done = 0
    this.skipEmpty()
  }

  private skipEmpty(): void {
    while (this.plan.segments[this.index]?.bytes === 0) this.index += 1
  }

  private here(segment: Segment): number {
    return this.plan.at + segment.at + this.done
  }
}

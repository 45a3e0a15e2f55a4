import { type Algorithm, passes } from '../plan.js'
import { type CallShape, describe } from '../shape.js'
import type { FailureFacts } from './protocol.js'

/**
 * Ranks that are no longer there. A rank that is gone may have done its part of a call in work, which then succeeds:
 * only who receives from it knows, and tells (`cut`).
 */
export class Absent {
  private readonly gone = new Map<number, string>()
  private readonly left = new Map<number, number>()
  private readonly cuts = new Map<string, { rank: number; to: number; complete: number }>()

  constructor(private readonly size: number) {}

  isGone = (rank: number): boolean => this.gone.has(rank)
  hasLeft = (rank: number): boolean => this.left.has(rank)

  noteGone(rank: number, why: string): void {
    if (!this.gone.has(rank)) this.gone.set(rank, why)
  }
  noteLeft(rank: number, calls: number): void {
    this.left.set(rank, calls)
  }
  noteCut(rank: number, to: number, complete: number): void {
    const key = `${rank}>${to}`
    if (!this.cuts.has(key)) this.cuts.set(key, { rank, to, complete })
  }

  /** Why a call cannot be done any more; undefined while it can. */
  verdict(sequence: number, shape: CallShape, algorithm: Algorithm): FailureFacts | undefined {
    const call = `call #${sequence}, ${describe(shape)}`
    for (const [rank, calls] of this.left) {
      if (calls >= sequence) continue
      return {
        code: 'E_TF_RANK_LEFT',
        what: `rank ${rank} closed its collectives after ${calls} calls, and does not take part in ${call}`,
        fix: 'make the same number of calls on every rank before `close()` and before the step ends',
        rank,
      }
    }
    for (const { rank, to, complete } of this.cuts.values()) {
      if (complete >= sequence || !passes(algorithm, rank, to, this.size)) continue
      const others = [...this.gone.keys()].filter((other) => other !== rank)
      const also = others.length > 0 ? `; rank${others.length > 1 ? 's' : ''} ${others.join(', ')} too` : ''
      return {
        code: 'E_TF_RANK_LOST',
        what: `rank ${rank} was lost before ${call}, was done: ${this.gone.get(rank) ?? 'connection closed by peer'}${also}`,
        fix: "see why that rank ended: in a gang, the run's verdict and that node's log say it",
        rank,
      }
    }
    return undefined
  }
}

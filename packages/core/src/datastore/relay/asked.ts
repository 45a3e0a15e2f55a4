import type { Json } from '../../flow/values.js'
import type { Wait } from '../patience.js'
import type { RelayConnection } from './connection.js'
import { type Op, type Params, PIECE } from './wire.js'

/** What a client asks of the other side. */
export interface Request {
  /** In words, for an error: `reading record x`. */
  readonly doing: string
  readonly op: Op
  readonly params: Params
  /** At most INLINE bytes. */
  readonly bytes?: Uint8Array
  readonly signal?: AbortSignal | undefined
  /** What is to be sent when the other side wants it, from a byte on; called anew after a broken connection. */
  readonly upload?: (from: number) => AsyncIterable<Uint8Array>
  /**
   * Takes what comes, piece by piece. `begin` is called before the first, and anew after a broken connection; it gives the
   * bytes that are there already.
   */
  readonly sink?: { begin(): Promise<number>; write(piece: Uint8Array): Promise<void> }
}

/** A request on its way, over one connection after the other. */
export interface Pending {
  readonly id: number
  readonly request: Request
  readonly wait: Wait
  /** Counts the connections over which it was asked: what belongs to an older one is void. */
  round: number
  /** Bytes that may be sent, and who waits for them. */
  credit: number
  /** Where an upload begins, or goes on. */
  from: number
  credited: () => void
  /** Writes of the sink, one after the other. */
  writing: Promise<void>
  settle(result: Json | undefined): void
  fail(error: unknown): void
}

/** Sends what the other side gives credit for; nothing is read before the first credit. */
export async function pump(
  pending: Pending,
  round: number,
  upload: (from: number) => AsyncIterable<Uint8Array>,
  connection: RelayConnection,
): Promise<void> {
  const { id, wait } = pending
  const current = () => pending.round === round && !connection.isOver
  const credit = async () => {
    while (pending.credit <= 0 && current()) {
      await new Promise<void>((resolve) => {
        pending.credited = resolve
      })
    }
    return current()
  }
  try {
    if (!(await credit())) return
    wait.busy = true
    for await (const part of upload(pending.from)) {
      wait.busy = false
      for (let from = 0; from < part.length; from += PIECE) {
        if (!(await credit())) return
        const piece = part.subarray(from, from + PIECE)
        pending.credit -= piece.length
        connection.send({ t: 'data', id }, piece)
      }
      wait.busy = true
    }
    if (current()) connection.send({ t: 'end', id })
  } catch (error) {
    if (!current()) return
    connection.send({ t: 'abort', id })
    pending.fail(error)
  } finally {
    wait.busy = false
  }
}

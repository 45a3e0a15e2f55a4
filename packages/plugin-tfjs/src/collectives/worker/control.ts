import type { Socket } from 'node:net'
import type { FailureFacts } from './protocol.js'

/** A rank's answer to who has made which call. */
export interface Standing {
  readonly rank: number
  /** Calls made so far. */
  readonly calls: number
}

/** What ranks tell each other beside the data: each frame goes once around, in both directions. */
export type Frame =
  /** Its connection ended without a word, or it was silent for too long. */
  | { readonly type: 'gone'; readonly rank: number; readonly why: string }
  /** It closed after so many calls. */
  | { readonly type: 'bye'; readonly rank: number; readonly calls: number }
  /** What `to` has received of a rank that is gone: all of its calls up to this one, and not of the next. */
  | { readonly type: 'cut'; readonly rank: number; readonly to: number; readonly complete: number }
  | { readonly type: 'fail'; readonly by: number; readonly facts: FailureFacts }
  /** Goes around to the right, and gathers. */
  | { readonly type: 'ask'; readonly by: number; readonly rows: readonly Standing[] }

/** Longest frame: a gathered answer of thousands of ranks fits. */
const LINE_LIMIT = 4 * 1024 * 1024

export interface ControlOwner {
  frame(link: Control, frame: Frame): void
  controlEnded(link: Control): void
}

/** A connection with a neighbour of the ring for everything but data: lines of JSON; an empty one is a heartbeat. */
export class Control {
  heard = performance.now()
  ended = false
  /** How it ended. */
  why = 'connection closed by peer'
  private parts: Buffer[] = []
  private length = 0

  constructor(
    readonly rank: number,
    /** Whether that rank comes before or after this one. */
    readonly side: 'left' | 'right',
    readonly socket: Socket,
    private readonly owner: ControlOwner,
  ) {
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.why = `connection closed by peer (${error.code ?? error.message})`
      socket.destroy()
    })
    socket.once('end', () => this.end())
    socket.once('close', () => this.end())
    // It may have broken before anyone listened.
    if (socket.destroyed) setImmediate(() => this.end())
  }

  send(frame: Frame): void {
    if (!this.ended) this.socket.write(`${JSON.stringify(frame)}\n`)
  }

  beat(): void {
    if (!this.ended && this.socket.writableLength === 0) this.socket.write('\n')
  }

  take(chunk: Buffer): void {
    this.heard = performance.now()
    let begin = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, begin)) {
      const line = Buffer.concat([...this.parts, chunk.subarray(begin, at)])
      this.parts = []
      this.length = 0
      begin = at + 1
      if (line.length > 0) this.owner.frame(this, JSON.parse(line.toString()) as Frame)
    }
    if (begin === chunk.length) return
    // A copy: the bytes may lie in a buffer that is read into again.
    this.parts.push(Buffer.from(chunk.subarray(begin)))
    this.length += chunk.length - begin
    if (this.length > LINE_LIMIT) this.socket.destroy()
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    this.socket.destroy()
    this.owner.controlEnded(this)
  }
}

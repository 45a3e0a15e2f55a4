import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { listenUnix } from '../transport/unix.js'

/** The agent's end of byte streams for its body: a raw socket on which a token says which stream is meant. */
export interface RawPort {
  readonly socket: string
  /** A token for `stream`; whoever dials with it within 30 s is joined to it. */
  offer(stream: Duplex): string
  close(): Promise<void>
}

const WAIT_MS = 30_000
const LIMIT = 128

export async function openRawPort(path: string): Promise<RawPort> {
  const offered = new Map<string, { stream: Duplex; timer: NodeJS.Timeout }>()
  const listener = await listenUnix(path)
  const take = (mine: Duplex) => {
    let held = Buffer.alloc(0)
    const timer = setTimeout(() => mine.destroy(), 5000)
    const read = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      const at = held.indexOf(10)
      if (at < 0 && held.length < LIMIT) return
      clearTimeout(timer)
      mine.off('data', read)
      mine.pause()
      const token = held.subarray(0, Math.max(at, 0)).toString()
      const match = offered.get(token)
      if (at < 0 || !match) return void mine.destroy()
      offered.delete(token)
      clearTimeout(match.timer)
      const rest = held.subarray(at + 1)
      if (rest.length > 0) mine.unshift(rest)
      join(mine, match.stream)
    }
    mine.on('data', read)
    mine.on('close', () => clearTimeout(timer))
  }

  void (async () => {
    for await (const { stream } of listener) take(stream)
  })()

  return {
    socket: path,
    offer(stream) {
      const token = randomBytes(16).toString('hex')
      const timer = setTimeout(() => {
        offered.delete(token)
        stream.destroy()
      }, WAIT_MS)
      offered.set(token, { stream, timer })
      return token
    },
    async close() {
      for (const { stream, timer } of offered.values()) {
        clearTimeout(timer)
        stream.destroy()
      }
      await listener.close()
    },
  }
}

/** Bytes both ways, with back-pressure; the end of one is the end of the other, a break breaks both. */
export function join(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to)
    from.on('error', () => to.destroy())
    from.on('close', () => {
      if (!from.readableEnded) to.destroy()
    })
  }
}

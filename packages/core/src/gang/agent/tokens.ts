import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { readToken } from '../transport/token.js'
import { listenUnix } from '../transport/unix.js'

/** The agent's end of byte streams for its body: a raw socket on which a token says which stream is meant. */
export interface RawPort {
  readonly socket: string
  /** A token for `stream`; whoever dials with it within 30 s is joined to it. */
  offer(stream: Duplex): string
  close(): Promise<void>
}

const WAIT_MS = 30_000

export async function openRawPort(path: string): Promise<RawPort> {
  const offered = new Map<string, { stream: Duplex; timer: NodeJS.Timeout }>()
  const listener = await listenUnix(path)
  const take = (mine: Duplex) =>
    readToken(mine, (token) => {
      const match = offered.get(token)
      if (!match) return void mine.destroy()
      offered.delete(token)
      clearTimeout(match.timer)
      join(mine, match.stream)
    })

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

import type { Duplex } from 'node:stream'

/** Milliseconds that a new connection has to say whose it is, and bytes in which it must. */
const TOKEN_MS = 10_000
const LIMIT = 128

/** Reads the line by which a new connection says whose it is, and leaves the rest unread; one that says none is destroyed. */
export function readToken(stream: Duplex, take: (token: string) => void): void {
  let held = Buffer.alloc(0)
  const timer = setTimeout(() => stream.destroy(), TOKEN_MS)
  const read = (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    const at = held.indexOf(10)
    if (at < 0 && held.length < LIMIT) return
    clearTimeout(timer)
    stream.off('data', read)
    stream.pause()
    if (at < 0) return void stream.destroy()
    const rest = held.subarray(at + 1)
    if (rest.length > 0) stream.unshift(rest)
    take(held.subarray(0, at).toString())
  }
  stream.on('data', read)
  stream.once('close', () => clearTimeout(timer))
}

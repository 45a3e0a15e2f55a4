import type { Duplex } from 'node:stream'

/**
 * One line of JSON from a stream whose later bytes belong to somebody else: what follows the line stays in the
 * stream. Rejects on end, on more than `limit` bytes, on abort, and on what is no JSON object.
 */
export function readJsonLine(stream: Duplex, limit: number, signal: AbortSignal): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let held = 0
    const done = (act: () => void) => {
      stream.off('readable', read)
      stream.off('end', ended)
      stream.off('error', failed)
      stream.off('close', ended)
      signal.removeEventListener('abort', aborted)
      act()
    }
    const fail = (error: Error) => done(() => reject(error))
    const failed = (error: Error) => fail(error)
    const ended = () => fail(new Error('the connection was closed during the handshake'))
    const aborted = () => fail(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    const read = () => {
      for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) {
        const at = chunk.indexOf(10)
        chunks.push(at < 0 ? chunk : chunk.subarray(0, at))
        held += at < 0 ? chunk.length : at
        if (held > limit) return fail(new Error(`a handshake of more than ${limit} bytes`))
        if (at < 0) continue
        const rest = chunk.subarray(at + 1)
        return done(() => {
          if (rest.length > 0) stream.unshift(rest)
          try {
            const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
            if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object')
            resolve(value as Record<string, unknown>)
          } catch {
            reject(new Error('a handshake that is no JSON'))
          }
        })
      }
    }
    if (signal.aborted) return aborted()
    signal.addEventListener('abort', aborted)
    stream.on('readable', read)
    stream.on('end', ended)
    stream.on('close', ended)
    stream.on('error', failed)
    read()
  })
}

/** Writes one line of JSON. */
export function writeJsonLine(stream: Duplex, value: unknown): void {
  stream.write(`${JSON.stringify(value)}\n`)
}

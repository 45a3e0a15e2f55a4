import { type ClientHttp2Session, connect } from 'node:http2'

/** A gRPC connection that is made when first used, and again after it broke: unary calls, raw messages. */
export class Channel {
  #session: ClientHttp2Session | undefined

  constructor(
    private readonly authority: string,
    private readonly token: string,
  ) {}

  /** The reply's message. Rejects when the server cannot be reached, refuses, or does not answer until `signal`. */
  call(path: string, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const request = this.#connected().request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: `Bearer ${this.token}`,
      })
      const give = () => {
        request.close()
        reject(signal.reason)
        // Who does not answer may never: the next call has a connection of its own.
        this.close()
      }
      signal.addEventListener('abort', give, { once: true })
      const chunks: Buffer[] = []
      let status = ''
      let why = ''
      const told = (headers: Readonly<Record<string, unknown>>) => {
        status = String(headers['grpc-status'] ?? status)
        why = String(headers['grpc-message'] ?? why)
      }
      request.on('response', told)
      request.on('trailers', told)
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('error', reject)
      request.on('close', () => {
        signal.removeEventListener('abort', give)
        // Each message comes after a byte for its compression and four for its length.
        if (status === '0') resolve(Buffer.concat(chunks).subarray(5))
        else reject(new Error(`${path} at ${this.authority}: ${why || `gRPC status ${status || 'none'}`}`))
      })
      const head = Buffer.alloc(5)
      head.writeUInt32BE(message.length, 1)
      request.end(Buffer.concat([head, message]))
    })
  }

  close(): void {
    this.#session?.destroy()
    this.#session = undefined
  }

  #connected(): ClientHttp2Session {
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return this.#session
    const session = connect(`http://${this.authority}`)
    session.on('error', () => session.destroy())
    session.on('goaway', () => session.destroy())
    this.#session = session
    return session
  }
}

import type { ErrorFacts } from '../errors/base.js'
import type { Connection, Listener } from './contract.js'
import { challenge, type Hello } from './handshake.js'

/** Connections that may be in their handshake at once (more wait in line), and how long one may take (D13). */
const PENDING = 256
const HANDSHAKE_MS = 15_000

export interface DoorkeeperOptions {
  readonly key: Uint8Array
  /** Who comes before this settles waits at the door. */
  ready?(): Promise<unknown>
  /** Facts of a refusal, or nothing. */
  admit(hello: Hello): ErrorFacts | undefined
  enter(hello: Hello, connection: Connection): void
  /** Told of everyone who was turned away. */
  refused?(error: unknown): void
}

/** Lets in at a listener whoever knows the key and is admitted; until then connections are few and short. */
export async function keepDoor(listener: Listener, options: DoorkeeperOptions): Promise<void> {
  let pending = 0
  let leave = () => {}
  for await (const connection of listener) {
    // A large gang joins all at once: who is turned away here would count as lost.
    while (pending >= PENDING)
      await new Promise<void>((resolve) => {
        leave = resolve
      })
    pending += 1
    const begin = async () => {
      await options.ready?.()
      return challenge(connection.stream, options.key, options.admit, AbortSignal.timeout(HANDSHAKE_MS))
    }
    begin()
      .then((hello) => options.enter(hello, connection))
      .catch((error: unknown) => {
        connection.stream.end()
        setTimeout(() => connection.close(), 100).unref()
        options.refused?.(error)
      })
      .finally(() => {
        pending -= 1
        leave()
      })
  }
}

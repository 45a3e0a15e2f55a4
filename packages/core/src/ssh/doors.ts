import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { Candidate, Door } from './contract.js'

/** First word of who comes for a door; the second is its token. */
const WORD = 'gangflow-door'

/** Doors that this member holds open: each for one connection, for whoever has been told its token over the mesh. */
export class Doors {
  readonly #waiting = new Map<string, (socket: Socket) => void>()

  open(signal: AbortSignal): Door {
    const token = randomBytes(24).toString('hex')
    const socket = new Promise<Socket>((resolve, reject) => {
      const shut = () => {
        this.#waiting.delete(token)
        reject(signal.reason)
      }
      if (signal.aborted) return shut()
      signal.addEventListener('abort', shut, { once: true })
      this.#waiting.set(token, (came) => {
        this.#waiting.delete(token)
        signal.removeEventListener('abort', shut)
        resolve(came)
      })
    })
    socket.catch(() => {})
    return { token, socket }
  }

  /** Hands a connection over to who waits for it; nobody does, and it is closed. */
  enter(token: string, socket: Socket): void {
    const take = this.#waiting.get(token)
    if (take) take(socket)
    else socket.destroy()
  }
}

/** The token in somebody's first line, if it came for a door. */
export const doorIn = (line: string): string | undefined => {
  const [word, token] = line.split(' ')
  return word === WORD ? token : undefined
}

/** A bare connection to a door. Nothing has been read from it, and its first line is on its way. */
export function enterDoor(candidate: Candidate, token: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...candidate, noDelay: true })
    const fail = (error: unknown) => {
      signal.removeEventListener('abort', aborted)
      socket.destroy()
      reject(error)
    }
    const aborted = () => fail(signal.reason)
    if (signal.aborted) return aborted()
    signal.addEventListener('abort', aborted, { once: true })
    // It stays: an 'error' event that nobody hears ends the process.
    socket.on('error', fail)
    socket.once('connect', () => {
      socket.write(`${WORD} ${token}\n`, () => {
        signal.removeEventListener('abort', aborted)
        resolve(socket)
      })
    })
  })
}

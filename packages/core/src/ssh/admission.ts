import type { Socket } from 'node:net'

/** Connections that have not authenticated yet: at most so many, each at most so long, so many a second of one address. */
export interface AdmissionLimits {
  readonly pending: number
  readonly patienceMs: number
  readonly perSecond: number
  readonly burst: number
}

export const defaultAdmission: AdmissionLimits = { pending: 128, patienceMs: 15_000, perSecond: 64, burst: 512 }

/** Source addresses whose rate is kept. */
const SOURCES = 1024

/**
 * The door before authentication (D13). In a flood one of those that wait is turned away at random, so that a member,
 * who needs few milliseconds, nearly always gets through, and dials again if not.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #pending = new Map<Socket, NodeJS.Timeout>()
  readonly #sources = new Map<string, { tokens: number; at: number }>()

  constructor(limits: AdmissionLimits = defaultAdmission) {
    this.#limits = limits
  }

  /** False when the connection was turned away. */
  admit(socket: Socket): boolean {
    if (!this.#withinRate(socket.remoteAddress ?? '')) {
      socket.destroy()
      return false
    }
    if (this.#pending.size >= this.#limits.pending) {
      const unlucky = [...this.#pending.keys()][Math.floor(Math.random() * this.#pending.size)]!
      unlucky.destroy()
      this.passed(unlucky)
    }
    const timer = setTimeout(() => socket.destroy(), this.#limits.patienceMs)
    this.#pending.set(socket, timer)
    socket.once('close', () => this.passed(socket))
    return true
  }

  /** It has authenticated, or has gone. */
  passed(socket: Socket): void {
    clearTimeout(this.#pending.get(socket))
    this.#pending.delete(socket)
  }

  #withinRate(source: string): boolean {
    const { perSecond, burst } = this.#limits
    const now = performance.now()
    const known = this.#sources.get(source) ?? { tokens: burst, at: now }
    known.tokens = Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond)
    known.at = now
    // The one not seen for the longest goes; it comes back with a full burst, which the cap on all bounds.
    this.#sources.delete(source)
    this.#sources.set(source, known)
    if (this.#sources.size > SOURCES) this.#sources.delete(this.#sources.keys().next().value!)
    if (known.tokens < 1) return false
    known.tokens -= 1
    return true
  }
}

import type { Socket } from 'node:net'
import { Line } from './line.js'

/** Of connections that have not authenticated yet. Strangers are all who do not knock as members do. */
export interface AdmissionLimits {
  /** Who has not said a word yet, at once. */
  readonly silent: number
  /** Strangers at once. */
  readonly strangers: number
  /** Members at once, with those that wait for their turn. */
  readonly members: number
  /** Turns of members at once, and milliseconds after which the next is let in though a turn is not over. */
  readonly turns: number
  readonly turnMs: number
  /** Milliseconds for each; a member's begin with its turn. */
  readonly patienceMs: number
  /** Strangers of one address: so many a second, and so many at once after a quiet time. */
  readonly perSecond: number
  readonly burst: number
}

export const defaultAdmission: AdmissionLimits = {
  silent: 4096,
  strangers: 128,
  members: 4096,
  turns: 128,
  turnMs: 2_000,
  patienceMs: 15_000,
  perSecond: 64,
  burst: 512,
}

/** What a server may say before its first line (RFC 4253, 4.2): who waits in line knows that it need not look elsewhere. */
const GREETING = 'gangflow: one moment\r\n'

/** Source addresses whose rate is kept. */
const SOURCES = 1024

/**
 * The door before authentication (D13): few strangers at a time, each for a short while, and members apart from them,
 * so that no flood keeps those out; members in line, so that they do not keep each other out. Where a room is full one in
 * it is turned away at random: who needs few milliseconds nearly always gets through.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #rooms = {
    silent: new Map<Socket, NodeJS.Timeout | undefined>(),
    strangers: new Map<Socket, NodeJS.Timeout | undefined>(),
    members: new Map<Socket, NodeJS.Timeout | undefined>(),
  }
  readonly #line: Line
  readonly #sources = new Map<string, { tokens: number; at: number }>()

  constructor(limits: AdmissionLimits = defaultAdmission) {
    this.#limits = limits
    this.#line = new Line(limits.turns, limits.turnMs)
  }

  /** Somebody has come, and has said nothing yet. */
  enter(socket: Socket): void {
    this.#place(socket, 'silent')
    socket.once('close', () => this.passed(socket))
  }

  /** How many have said nothing yet. */
  get silent(): number {
    return this.#rooms.silent.size
  }

  /** It has spoken. Settles with its turn; false when it was turned away. */
  async admit(socket: Socket, isMember: boolean): Promise<boolean> {
    this.passed(socket)
    if (isMember) {
      this.#place(socket, 'members')
      if (this.#line.isLong) socket.write(GREETING)
      if (!(await this.#line.turn(socket))) return false
      this.#rooms.members.set(socket, this.#limit(socket))
    } else if (this.#withinRate(socket.remoteAddress ?? '')) this.#place(socket, 'strangers')
    else socket.destroy()
    return !socket.destroyed
  }

  /** It has authenticated, or has gone. */
  passed(socket: Socket): void {
    for (const room of Object.values(this.#rooms)) {
      clearTimeout(room.get(socket))
      room.delete(socket)
    }
    this.#line.leave(socket)
  }

  #limit(socket: Socket): NodeJS.Timeout {
    return setTimeout(() => socket.destroy(), this.#limits.patienceMs)
  }

  #place(socket: Socket, name: 'silent' | 'strangers' | 'members'): void {
    const room = this.#rooms[name]
    if (room.size >= this.#limits[name]) {
      const unlucky = [...room.keys()][Math.floor(Math.random() * room.size)]!
      unlucky.destroy()
      this.passed(unlucky)
    }
    room.set(socket, name === 'members' ? undefined : this.#limit(socket))
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

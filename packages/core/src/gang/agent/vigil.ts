import { uptime } from 'node:os'
import type { Failure } from '../protocol.js'
import { readSilence } from '../silence.js'
import type { OwnerLink } from './owner-link.js'
import type { Pulses } from './pulses.js'

/** How a member came to be without its gang. */
export interface Loss {
  /** One clause for people. */
  readonly why: string
  /** The owner has gone; a member has; it is this one that the others do not hear; or something failed here. */
  readonly kind: 'owner' | 'member' | 'cut-off' | 'failure'
  /** The member that has gone, where that is known. */
  readonly node?: number
  /** Another member hears the owner: the account is theirs to write. */
  readonly ownerLives?: boolean
  /** What failed here, which the owner has not heard. */
  readonly failure?: Failure
}

/** Exchanges with the owner by which its clock is known, and leases after which there is another. */
const EXCHANGES = 5
const SELDOM = 6

export interface VigilOptions {
  readonly owner: OwnerLink
  readonly leaseMs: number
  /** Milliseconds of silence of an owner that is merely paused, and of one that has not opened the epoch yet. */
  readonly launcherMs: number
  readonly joinMs: number
  /** See `Signs.patience`. */
  readonly patience: number
  pulses(): Pulses | undefined
  /** What was reported as failed. */
  failure(): Failure | undefined
  /** Called once. */
  lost(loss: Loss): void
}

/**
 * A member's watch over its gang: it beats, and tells an owner that is paused from one that only this member does not
 * hear any more. Time in which this process stood still counts for nobody; but one that was away for longer than its lease
 * may have been given up, and goes on only when the owner still knows it.
 */
export class Vigil {
  readonly #options: VigilOptions
  readonly #timer: NodeJS.Timeout
  #ticked = performance.now()
  /** What the host's clock of all time, its sleep included, is ahead of this process's. */
  #ahead = aheadOf()
  /** An absence of more than a lease, until the owner has answered a beat of after it. */
  #away: { readonly ms: number; readonly until: number } | undefined
  /** Since when another hears the owner and this one does not. */
  #aloneSince: number | undefined

  constructor(options: VigilOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), options.leaseMs / 5)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    const { owner, leaseMs, pulses } = this.#options
    const now = performance.now()
    const ahead = aheadOf()
    const stood = now - this.#ticked + Math.max(0, ahead - this.#ahead)
    this.#ticked = now
    this.#ahead = ahead
    if (stood > leaseMs / 2) {
      pulses()?.forgive(now)
      this.#aloneSince = undefined
      if (stood > leaseMs) this.#away = { ms: stood, until: now }
      owner.heardAt = stood > leaseMs ? now - leaseMs / 2 : now
    }
    if (this.#tells(now)) owner.beat(pulses()?.late())
    pulses()?.beat()
    this.look()
  }

  /** The owner has asked whether this member lives. */
  asked(): void {
    const { owner, pulses } = this.#options
    owner.beat(pulses()?.late())
  }

  /**
   * Whether this beat is for the owner itself. In a tree only of those at its top, and of whoever has reason: its parent is
   * not heard, the owner wants to know or is not known to live; and now and then, for the owner's clock.
   */
  #tells(now: number): boolean {
    const { owner, leaseMs, pulses } = this.#options
    const upward = pulses()?.upward()
    if (!upward || this.#away) return true
    const parentSilent = upward.heardAt === undefined || now - upward.heardAt > leaseMs / 2
    const wanted = now - owner.askedAt < leaseMs || owner.clock.exchanges < EXCHANGES
    return parentSilent || wanted || now - owner.aliveAt > leaseMs / 2 || now - owner.beatAt > leaseMs * SELDOM
  }

  /** Judges what is known now. */
  look(): void {
    const { owner, leaseMs, launcherMs, joinMs, patience, pulses, failure, lost } = this.#options
    const now = performance.now()
    // What others said while this member was away may be old.
    const silence = now - (this.#away ? owner.heardAt : owner.aliveAt)
    const seconds = (ms: number) => Math.round(ms / 100) / 10
    if (this.#away && owner.answered >= this.#away.until) this.#away = undefined
    if (this.#away && silence > leaseMs) {
      const why = `this member stood still for ${seconds(this.#away.ms)} s, and the launcher did not answer when it woke`
      lost({ kind: 'cut-off', why })
      return
    }
    const failed = silence > leaseMs ? failure() : undefined
    if (failed) {
      // Nobody else ends what has failed while the owner is paused.
      lost({ kind: 'failure', why: `this member failed while the launcher said nothing`, failure: failed })
      return
    }
    const told = silence > leaseMs ? pulses()?.told() : undefined
    if (told) {
      lost(told)
      return
    }
    const neighbours = pulses()?.signs() ?? []
    const read = readSilence({ now, ownerAt: owner.aliveAt, leaseMs, patience, neighbours })
    if (read.means !== 'alone') this.#aloneSince = undefined
    if (read.means === 'alone') {
      this.#aloneSince ??= now
      if (now - this.#aloneSince > leaseMs * 0.4 && silence > leaseMs) {
        const why = `this member heard nothing of the launcher for ${seconds(silence)} s, and node ${read.heardBy} does`
        lost({ kind: 'cut-off', why, ownerLives: true })
      }
    } else if (read.means === 'parted') {
      const nodes = read.lost.join(', ')
      if (read.heard.length > 0) {
        const why = `node ${nodes} was lost while the launcher said nothing for ${seconds(silence)} s`
        lost({ kind: 'member', why, node: read.lost[0]! })
      } else {
        const why = `nothing was heard of the launcher and of node ${nodes} for ${seconds(silence)} s`
        lost({ kind: 'cut-off', why, ...(read.lost.length === 1 ? { node: read.lost[0]! } : {}) })
      }
    } else if (pulses() === undefined && silence > Math.min(joinMs, launcherMs)) {
      // It knows nobody yet whom it could ask whether it is the one that is cut off.
      const why = `this member waited for the launcher to open the epoch, and heard nothing of it for ${seconds(silence)} s`
      lost({ kind: 'cut-off', why })
    } else if (silence > launcherMs) {
      lost({ kind: 'owner', why: `the launcher said nothing for ${Math.round(launcherMs / 1000)} s` })
    }
  }
}

/** Milliseconds; the clock of this process stands still while the host sleeps, the host's own does not. */
const aheadOf = (): number => uptime() * 1000 - performance.now()

import type { Verdict } from './verdict.js'

const brand = Symbol.for('@gangflow/core.error')

/** Where in the person's own source something is. Lines and columns count from 1. */
export interface SourceLocation {
  readonly file: string
  readonly line: number
  readonly column?: number
}

/** The facts of a GangflowError, as they travel between processes and into `--json`. */
export interface ErrorFacts {
  readonly code: string
  /** What happened, one sentence without a full stop at the end of a list item. */
  readonly what: string
  /** What to do about it. */
  readonly fix?: string | undefined
  readonly step?: string | undefined
  readonly node?: number | undefined
  readonly rank?: number | undefined
  readonly host?: string | undefined
  readonly location?: SourceLocation | undefined
  /** Machine-readable extras. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
  readonly verdict?: Verdict | undefined
}

/** Every error that a person can meet: a code, what happened, why, and what to do. */
export class GangflowError extends Error {
  readonly code: string
  readonly what: string
  readonly fix: string | undefined
  readonly step: string | undefined
  readonly node: number | undefined
  readonly rank: number | undefined
  readonly host: string | undefined
  readonly location: SourceLocation | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined
  readonly verdict: Verdict | undefined

  constructor(facts: ErrorFacts, options?: { cause?: unknown }) {
    super(facts.fix === undefined ? facts.what : `${facts.what}\n  fix: ${facts.fix}`, options)
    this.name = 'GangflowError'
    this.code = facts.code
    this.what = facts.what
    this.fix = facts.fix
    this.step = facts.step
    this.node = facts.node
    this.rank = facts.rank
    this.host = facts.host
    this.location = facts.location
    this.details = facts.details
    this.verdict = facts.verdict
    Object.defineProperty(this, brand, { value: true })
  }

  /** True for a GangflowError of any copy of this package. */
  static is(error: unknown): error is GangflowError {
    return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true
  }

  /** `instanceof` asks the same, so that an error from another copy is known by it. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a class that extends this one has instances of its own
    return isInstance(this, value)
  }

  /** The facts alone, without stack and cause. */
  toJSON(): ErrorFacts {
    const { code, what, fix, step, node, rank, host, location, details, verdict } = this
    return { code, what, fix, step, node, rank, host, location, details, verdict }
  }
}

function isInstance(type: unknown, value: unknown): boolean {
  return type === GangflowError ? GangflowError.is(value) : Function.prototype[Symbol.hasInstance].call(type, value)
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

import type { Duplex } from 'node:stream'
import type { AttemptAddress, DoneRecord } from '../datastore/records.js'
import type { Verdict } from '../errors/verdict.js'
import type { Resources, StepDescription } from '../flow/description.js'
import type { ProcessExit } from '../process/contract.js'

/**
 * What obtains nodes and starts agents on them. `plan` is pure (D6): what it returns is what `--dry-run` prints
 * and what `start` performs.
 */
export interface GangBackend<Plan = unknown> {
  readonly name: string
  plan(request: GangRequest): Plan
  start(plan: Plan, bootstrap: Bootstrap, signal: AbortSignal): Promise<Allocation>
}

export interface GangRequest {
  readonly address: AttemptAddress
  readonly step: StepDescription
  readonly size: number
  readonly resources: Resources
}

/** What every agent is told on its stdin, and nowhere else (D2). */
export interface Bootstrap {
  /** 32 random bytes of this attempt. */
  readonly secret: Uint8Array
  /** Where the rendezvous is: an address of the transport. */
  readonly rendezvous: string
  readonly datastore: string
}

export interface Allocation {
  readonly members: readonly Member[]
  /** Gives everything back; idempotent. */
  release(): Promise<void>
}

/** One started agent, as the backend holds it. */
export interface Member {
  readonly memberId: string
  readonly host: string
  readonly agentExited: Promise<ProcessExit>
  /** Ends whatever is left of the member, from outside, by pid and start time, session and marker. */
  reap(): Promise<void>
}

/** How agents, the launcher and peers reach each other: unix sockets locally; SSH channels from issue 4 on. */
export interface Transport {
  readonly kind: string
  listen(name: string): Promise<Listener>
  /** Rejects with `refused` in the error's code when nobody listens there any more: the peer is dead. */
  connect(address: string, options: { signal: AbortSignal }): Promise<Connection>
}

export interface Listener extends AsyncIterable<Connection> {
  readonly address: string
  close(): Promise<void>
}

/** One authenticated connection. Leases, stop and verdicts have one of their own (D2). */
export interface Connection {
  readonly peer: string
  readonly stream: Duplex
  close(): void
}

/** What the runtime gets for a gang step's attempt. */
export type GangOutcome =
  | { readonly ok: true; readonly done: DoneRecord }
  | { readonly ok: false; readonly verdict: Verdict }

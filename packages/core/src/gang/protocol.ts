import type { Assignment } from '../body/protocol.js'
import type { LocalFlow, PackageRef } from '../compile/package/contract.js'
import type { Roster } from '../current/roster.js'
import type { ArtifactTable, StoredTransition } from '../datastore/records.js'
import type { Casualty, Cause } from '../errors/verdict.js'
import type { GangNeeds } from '../flow/description.js'

/**
 * What agents and the owner say to each other, in the frames of body/frames.ts. On the lease connection (from the
 * agent): calls `join` (Joining → Work), `aside` (→ another address of the owner, for all but the lease, or null) and `roster` ({epoch} → payload: formation.ts), events `beat` ({sent, late?, epoch?}: Late of all below in the tree), `report`
 * (Report), `account` (Account: it was stopped by way of others); (from the owner) events `beat` ({sent, owner}: its clock),
 * `ask` (for a beat) and `out` (the member is given up), calls `form` (FormOrder; payload: formation.ts, where no parent has it), `probe` (ProbeOrder → ProbeAnswer[]), `delivered` (→ Delivered, where Work has a PackageRef: within a second), `stop` (StopOrder → Account),
 * `renew` ({epoch, round}: that one is over, another will come → complaints), `commit` ({epoch, key, value} → boolean), `finish` (→ Account). On the data connection, numbered and answered: calls `lines`,
 * `progress`, `state`, `drained` ({seq, data}). Peers call each other's services (agent/services.ts).
 */

/** What an agent says of itself when it joins. */
export interface Joining {
  readonly memberId: string
  readonly pid: number
  readonly host: string
  /** At which peers may reach it, likeliest first. */
  readonly addresses: readonly string[]
  /** By address: the name of the network interface that has it. */
  readonly links: Readonly<Record<string, string>>
  readonly slots: number
  readonly gpus: readonly string[]
  /** Where peers dial it: an address of the transport. */
  readonly listens: string
  readonly version: string
}

/** What a joined member is to do, known before the epoch opens. */
export interface Work {
  /** Paths that are there on the member's host, or what the agent makes them from before its body starts. */
  readonly compiled: LocalFlow | PackageRef
  /** `@environment` of the step and `--env`, over the agent's own. */
  readonly env: Readonly<Record<string, string>>
  readonly assignment: Omit<Assignment, 'epoch' | 'node' | 'gang' | 'temp'>
  readonly needs: GangNeeds
}

/** Peers that a member is to call before the epoch opens. */
export interface ProbeOrder {
  readonly peers: readonly { readonly memberId: string; readonly listens: string }[]
  readonly limitMs: number
  /** All addresses of each peer; else the first that answers is enough. */
  readonly each: boolean
}

export interface ProbeAnswer {
  readonly memberId: string
  readonly tried: readonly TriedAddress[]
}

/** An address of a peer as a member has tried it. */
export interface TriedAddress {
  readonly address: string
  /** The member's own address on the way there. */
  readonly local?: string
  /** Why it does not serve; absent when it does. */
  readonly why?: string
  readonly refused?: boolean
}

/** How far a member is with the code that it is sent. */
export interface Delivered {
  /** Bytes, compressed, that came. */
  readonly moved: number
  /** Grows with every sign that it goes on. */
  readonly signs: number
  readonly whole: boolean
}

/** The epoch has opened. */
export interface FormOrder {
  readonly epoch: number
  /** Where the member's parent in the tree is dialled, who hands the formation on; absent where it comes with the order. */
  readonly parent?: string
}

/** One epoch, opened by the arbiter. */
export interface Formation {
  readonly epoch: number
  readonly roster: Roster
  /** By member id: where peers dial it. */
  readonly listens: Readonly<Record<string, string>>
  readonly inspect?: number
  /** Children of a member in the tree by which collectives and the stop travel; absent: they do so directly. */
  readonly fanOut?: number
}

/** A member below in the tree that has said nothing to its parent for these milliseconds; of those below it nothing is known. */
export type Late = readonly [node: number, silenceMs: number]

/** Something that ended or failed by itself, as its own agent tells it. */
export interface Report {
  readonly kind: 'done' | 'failed'
  /** Counts this member's reports from 1: one may come twice, over two connections. */
  readonly seq?: number
  /** The epoch that the member was in; 0 before the first. */
  readonly epoch?: number
  /** Milliseconds since it happened, on the agent's monotonic clock, when it was sent. */
  readonly ageMs: number
  /** When it happened on the owner's monotonic clock, as far as the agent knows that. */
  readonly ownerAt?: number
  /** For `done`. */
  readonly completion?: {
    readonly artifacts: ArtifactTable
    readonly transition?: StoredTransition
    readonly ambiguous?: Readonly<Record<string, readonly string[]>>
  }
  /** For `failed`. */
  readonly failure?: Failure
}

/** How strongly an end speaks for being a first cause (D4). */
export type Weight = 'own' | 'exit' | 'echo'

export interface Failure {
  readonly casualty: Casualty
  readonly cause: Cause
  readonly weight: Weight
  /** One sentence, where the reporter knows better than the casualty's facts say. */
  readonly summary?: string
  readonly fix?: string
  readonly code?: string
}

export interface StopOrder {
  readonly why: string
  readonly cause: Cause
  readonly graceMs: number
}

/** Processes of a member that were ended because of a stop, or by their own part in it. */
export interface Account {
  readonly stopped: readonly Casualty[]
  /** What could not be stored or undone, in words. */
  readonly complaints: readonly string[]
  /** Ends by unknown hands shortly before: possible causes that nobody had to tell of. */
  readonly killed: readonly Report[]
}

/** One live line on the data connection. */
export interface LiveLine {
  readonly process: string
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
  readonly skipped?: number
}

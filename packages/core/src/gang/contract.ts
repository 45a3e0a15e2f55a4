import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Assignment } from '../body/protocol.js'
import type { CompiledFlow } from '../compile/contract.js'
import type { LocalFlow, PackageProgress } from '../compile/package/contract.js'
import type { Datastore } from '../datastore/contract.js'
import type { AttemptAddress, DoneRecord } from '../datastore/records.js'
import type { Cause, Verdict } from '../errors/verdict.js'
import type { FlowDescription, GangNeeds, GangTimeouts, Resources, StepDescription } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { Keeper, ProcessExit } from '../process/contract.js'
import type { JobBackend, JobEnd, JobWarning } from './job-contract.js'

export type { GangTimeouts }

/**
 * What obtains nodes and starts agents on them. `plan` is pure (D6): what it returns is what `--dry-run` prints
 * and what `start` performs.
 */
export interface GangBackend<Plan = unknown> {
  readonly name: string
  /**
   * How members reach the run's datastore. `shared` (default): each opens it by its location. `relayed`: their hosts do
   * not have it; they read and write it through the gang's owner, which alone has it open.
   */
  readonly datastore?: 'shared' | 'relayed'
  /**
   * `delivered`: the hosts do not see the launcher's disk; agents install the flow's package from the datastore. Default:
   * `delivered` where the datastore is relayed, else `local`.
   */
  readonly code?: 'local' | 'delivered'
  /** How its members reach the launcher and each other. Default `unix`: all are on the launcher's host. */
  readonly transport?: TransportKind
  /** Where ordinary tasks run. `here` (default): on the launcher's machine. `member`: each on its own, as a gang of one member. */
  readonly tasks?: 'here' | 'member'
  /** It waits in a queue as long as that takes: the timeout of `provision` is the backend's to keep, once it has its nodes. */
  readonly queues?: boolean
  /** It runs whole tasks in jobs: then the launcher asks for these, and `plan` and `start` serve within a gang's job. */
  readonly jobs?: JobBackend
  /** What runs instead of `jobs` once one of them has found that its node does not see the datastore. */
  readonly relayed?: GangBackend
  /** Throws for a flow that it cannot run. */
  check?(description: FlowDescription): void
  /** Within a job that its engine has warned of its end: what the engine says of that. */
  warned?(step: StepDescription): Promise<JobWarning | undefined>
  /**
   * Within a job whose task was ended: puts the job back into the queue, under its id, where it was ended for another's
   * sake, or where its time is over and it may have more: `atLimit` tells how often it had. False: neither is so.
   */
  putBack?(step: StepDescription, atLimit: number): Promise<false | JobWarning['cause']>
  plan(request: GangRequest): Plan
  /** `note` tells the person what is being waited for: a queue, a delivery. */
  start(plan: Plan, bootstrap: Bootstrap, signal: AbortSignal, note: BackendNotes): Promise<Allocation>
  /**
   * Starts ahead of need what a `start` of an equal plan and prelude then takes: agents that wait for their secret. Never
   * throws: a start that finds none starts its own. Absent where waiting would cost somebody: hosts in a queue, a bill.
   */
  prepare?(plan: Plan, prelude: Prelude): Prepared
}

/** A clause such as `queued: 3 jobs ahead`; `host` where it is about one. */
export type BackendNotes = (text: string, host?: string) => void

/** What a backend's package exports as `createBackend` or as its default; throws a GangflowError for bad options. */
export interface BackendFactory {
  (options: Readonly<Record<string, unknown>>, place: BackendPlace): GangBackend
  /** For `gangflow doctor --backend NAME`: looks at the engine, and at what its nodes see. Rejects for bad options alone. */
  readonly examine?: (
    options: Readonly<Record<string, unknown>>,
    order: EngineOrder,
    signal: AbortSignal,
  ) => Promise<EngineFinding[]>
}

/** What an engine's nodes are to see. */
export interface EngineOrder {
  /** Folder of the datastore: there. */
  readonly datastore: string
  /** Folder of core. */
  readonly core: string
  readonly flowDir: string
}

/** One thing that was looked at. */
export interface EngineFinding {
  /** `controller`, `partition`. */
  readonly check: string
  readonly status: 'ok' | 'info' | 'warn' | 'fail'
  /** What is there, or what is wrong. */
  readonly found: string
  /** What to do about it; with `warn` and `fail`. */
  readonly fix?: string
  /** The node that it is about. */
  readonly host?: string
}

/** What a backend is given of the run that it serves. */
export interface BackendPlace {
  /** The run's root keeper: what the backend starts on this machine hangs below it. */
  readonly keeper: Keeper
  /** Absolute path of the built `agent.cjs` of the flow's core. */
  readonly agent: string
  /** This process runs in a job that the backend submitted: members are started on what that job has. */
  readonly inJob?: boolean
}

export interface GangRequest {
  readonly address: AttemptAddress
  readonly step: StepDescription
  readonly size: number
  readonly resources: Resources
  /** Devices of this machine that the runtime lends to this gang. Default: all of it. */
  readonly gpus?: readonly string[]
}

/** What an agent can be told before it has anywhere to join: nothing of it is secret. */
export interface Prelude {
  /** The transport's kind. */
  readonly transport: TransportKind
  readonly address: AttemptAddress
  /** `Datastore.location`; `relay:` where the members reach the datastore through the owner. */
  readonly datastore: string
  readonly timeouts: GangTimeouts
  /** What its body is started from, where the flow lies on its host: that is then done while the member joins. */
  readonly body?: BodyAhead
}

/** As `Work` will say it. */
export interface BodyAhead {
  readonly compiled: LocalFlow
  readonly env: Readonly<Record<string, string>>
  readonly needs: GangNeeds
}

/** What every agent is told on its stdin, and nowhere else (D2); the backend adds the member's own part. */
export interface Bootstrap extends Prelude {
  /** 32 random bytes of this attempt. */
  readonly secret: Uint8Array
  /** Where the rendezvous is: an address of the transport. */
  readonly rendezvous: string
}

/** Agents that were started ahead of need. */
export interface Prepared {
  /** Ends them, unless a `start` has taken them; settles when nothing of them is left. */
  close(): Promise<void>
}

/** The part of the bootstrap that a backend decides for one member. */
export interface MemberBootstrap {
  readonly memberId: string
  readonly host: string
  /**
   * Addresses at which peers may reach it, best first; the agent adds those of its host, unless all of these are of the
   * loopback: then all members are on one host.
   */
  readonly addresses: readonly string[]
  readonly slots: number
  readonly gpus: readonly string[]
  /** Where the member keeps its sockets and undos: 0700, on a local disk, a short path. */
  readonly directory: string
  /** Directory for its temporary files: on a disk with room, made by the agent, removed with the member. */
  readonly temp: string
  /** Directory for the spools of its processes: outlives the member. */
  readonly spool: string
  /**
   * With a relayed datastore: the host's directory for blobs that were fetched, by content, and for what is not yet
   * stored. Shared by all members of the host, kept between runs, bounded by who uses it. Default: `~/.cache/gangflow/store`.
   * Delivered code is in `code/` in it; default: `~/.cache/gangflow/code`.
   */
  readonly cache?: string
  /** The agent's parent is a keeper for this host alone: agents that lost their gang end it when they go. */
  readonly endsKeeper?: boolean
}

export interface Allocation {
  readonly members: readonly Member[]
  /**
   * Starts an agent in the place of a lost one, on its host or a spare one, as a member of the id `as`; undefined where there
   * is no place for it. Absent where the backend never can.
   */
  replace?(lost: Member, as: string, signal: AbortSignal): Promise<Member | undefined>
  /** Asked as soon as something has failed: whether it is the engine that ends the members. Soon answered, never rejects. */
  why?(): Promise<EngineEnds | undefined>
  /** Gives everything back; idempotent. */
  release(): Promise<void>
}

/** An engine ends a job. */
export interface EngineEnds {
  /** As the engine calls it. */
  readonly id: string
  /** How, once nothing of the job is left; undefined where the engine does not say, or says nothing that its members had not said. */
  readonly ended: Promise<JobEnd | undefined>
}

/** One started agent, as the backend holds it. */
export interface Member {
  readonly memberId: string
  readonly host: string
  /** Its agent hangs below a keeper of its host, not the run's: `keeperLost` is then that host's loss. */
  readonly elsewhere?: boolean
  readonly agentExited: Promise<ProcessExit>
  /**
   * After its end: the directory on this machine with the spools of its processes that it had not stored, brought from
   * its host where that is another; committed and removed by the caller. Undefined when there are none.
   */
  spools?(): Promise<string | undefined>
  /** The agent's own last lines, where the backend sees them. */
  lastLines?(): readonly string[]
  /**
   * Where members of its host reach the launcher only through the connection that keeps that host: another address, on a
   * connection of its own, for all but leases. Undefined when there is none to be had. The same for all members of a host.
   */
  aside?(): Promise<string | undefined>
  /** What is to be seen of its agent from outside, where the backend sees it; `text` is a clause for the verdict. */
  look?(): { readonly state: 'runs' | 'stopped' | 'stuck' | 'gone'; readonly text: string }
  /**
   * Ends whatever is left of the member, from outside, by pid and start time, session and marker, then performs
   * the undos that it declared (`atEnd`). Idempotent.
   */
  reap(): Promise<void>
}

/** How agents, the launcher and peers reach each other: unix sockets on one host, SSH channels between hosts. */
export type TransportKind = 'unix' | 'ssh'

export interface Transport {
  readonly kind: TransportKind
  listen(name: string): Promise<Listener>
  /**
   * Rejects with `E_GANG_REFUSED` when nobody listens there any more: the peer is dead; with `E_GANG_UNREACHABLE` when
   * that is not known. `own`: shares its way with nothing else, as leases must not (D2).
   */
  connect(address: string, options: { signal: AbortSignal; own?: boolean }): Promise<Connection>
  /** Connections without the transport's own cipher, for what is sealed already. Absent where there is none to spare. */
  readonly bare?: BareWays
}

/** One connection for each token: who opens the door tells it to who may come, over a connection that has authenticated. */
export interface BareWays {
  openDoor(signal: AbortSignal): { readonly token: string; readonly socket: Promise<Socket> }
  enterDoor(address: string, token: string, signal: AbortSignal): Promise<Socket>
}

export interface Listener extends AsyncIterable<Connection> {
  readonly address: string
  close(): Promise<void>
}

/** One authenticated connection. Leases, stop and verdicts have one of their own (D2). */
export interface Connection {
  readonly peer: string
  readonly stream: Duplex
  /** It came about over a unix socket of this host that something else carries on (`ssh -R`). */
  readonly forwarded?: boolean
  close(): void
}

/** What the runtime gets for a gang step's attempt. */
export type GangOutcome =
  | { readonly ok: true; readonly done: DoneRecord }
  | { readonly ok: false; readonly verdict: Verdict }

/** Runs one attempt of a gang step to its end; `runtime/` calls it, `composition/` injects it. */
export type RunGang = (attempt: GangAttempt) => Promise<GangOutcome>

/** What is known of an attempt while the step before it runs. */
export type GangAhead = Pick<GangAttempt, 'request' | 'backend' | 'compiled' | 'datastore' | 'env' | 'timeouts'>

/** Has the members of a gang that comes next started ahead of need; undefined where its backend never does. */
export type PrepareGang = (ahead: GangAhead) => Promise<Prepared | undefined>

/** One attempt of a gang step, as the runtime hands it over. */
export interface GangAttempt {
  readonly request: GangRequest
  readonly backend: GangBackend
  readonly compiled: CompiledFlow
  /** What each member's body is to do; the gang adds epoch, node and roster. */
  readonly assignment: Omit<Assignment, 'epoch' | 'node' | 'gang'>
  readonly datastore: Datastore
  /** The run's root keeper: everything local hangs below it. */
  readonly keeper: Keeper
  /** `@environment` of the step and `--env`, over what a body has anyway. */
  readonly env: Readonly<Record<string, string>>
  /** Aborted with a `StopReason` as its reason; the outcome still comes, as a failure whose verdict has its cause. */
  readonly signal: AbortSignal
  /** The node whose body stops for a debugger. */
  readonly inspect?: number
  readonly timeouts?: Partial<GangTimeouts>
  /** How often a scheduler has started this attempt again: the first half of its epochs (D3). Default 0. */
  readonly restart?: number
  /** Children of a member in the tree by which the roster, the stop and collectives travel. Default: 32 above 64 members, else none. */
  readonly fanOut?: number
  /** Called in order, never after the outcome. */
  emit(event: GangEvent): void
  /**
   * Takes the promise that the agents have gone and their places are removed, where nothing else is left of a step that
   * succeeded: the outcome then does not wait for it. Absent: it does.
   */
  keep?(leaving: Promise<void>): void
}

/** `reason` of the signal by which the runtime stops an attempt. */
export interface StopReason {
  readonly cause: Cause
  /** One clause for people: `step 'fit' failed`, `cancelled by Ctrl-C`. */
  readonly why: string
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number
}

export type GangEvent =
  | {
      readonly type: 'member'
      readonly node: number
      readonly host: string
      readonly state: 'starting' | 'joined' | 'setup' | 'running' | 'done' | 'failed' | 'stopping' | 'gone'
      readonly epoch: number
    }
  /** Members were lost, and the gang is formed again. */
  | {
      readonly type: 'epoch'
      /** The one that is being formed. */
      readonly epoch: number
      readonly members: number
      /** One sentence for each loss. */
      readonly lost: readonly string[]
      /** How many more times it could. */
      readonly restartsLeft: number
    }
  | {
      readonly type: 'line'
      readonly node?: number
      readonly process: string
      readonly stream: 'stdout' | 'stderr'
      readonly text: string
      /** Lines left out of the live view before this one. */
      readonly skipped?: number
    }
  | { readonly type: 'progress'; readonly node?: number; readonly data: Json }
  /** What the backend does or waits for before members are there. */
  | { readonly type: 'note'; readonly host?: string; readonly text: string }
  /** The flow's code on its way: packed here, then installed on each node. `whole`: it is there. */
  | ({ readonly type: 'code'; readonly node?: number; readonly whole?: boolean } & PackageProgress)

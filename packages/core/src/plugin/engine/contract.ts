import type { Roster } from '../../current/roster.js'
import type { GangflowError } from '../../errors/base.js'
import type { Duration } from '../../errors/duration.js'
import type { Command, CommandResult, Undo } from '../contract.js'

/** What a start is planned from. Drawn anew for each start, so that a second one never meets the leavings of the first. */
export interface EnginePlace {
  /** Ten hexadecimal signs, the same on all members: for names of folders. */
  readonly id: string
  readonly roster: Roster
  /** A port that the gang holds on that node; its name must be in `ports` of the engine. */
  port(node: number, name: string): number
}

/** What one start performs. */
export interface EnginePlan {
  /** On the control; started first. */
  readonly head: Command
  /** Started once the head answers, together but for what `after` says; the control may have one too. */
  readonly workers: readonly EngineWorker[]
  /** True: the workers are started with the head, for which they wait by themselves. */
  readonly atOnce?: boolean
  /** Declared to the gang before anything starts: what is removed or ended in any case, also after the body's death. */
  readonly atEnd?: readonly { readonly node: number; readonly undo: Undo }[]
}

export interface EngineWorker {
  readonly node: number
  readonly command: Command
  /** Nodes that must be there before it is started: where several would take one host's time from each other. */
  readonly after?: readonly number[]
}

/** A framework's cluster as the helper forms and watches it. The functions are of the plugin; they start nothing. */
export interface Engine {
  /** Of the framework, in lower case: names logs (`NAME-head`, `NAME-node1`) and messages. */
  readonly name: string
  /** Ports to hold: of the control, and of every member. */
  readonly ports?: { readonly head?: readonly string[]; readonly each?: readonly string[] }
  /** Pure. */
  plan(place: EnginePlace): EnginePlan
  /**
   * The nodes that are there now, as the framework itself has it; rejects while the head does not answer. Asked ten times
   * a second until all are there, then once a second: who is missing for `silence` is lost. It must give up by `signal`,
   * and wait for no single node for longer than a second.
   */
  present(plan: EnginePlan, signal: AbortSignal): Promise<readonly number[]>
  /** Run on a node whose process ended, or that is silent or late: what it prints is quoted in the verdict. */
  logs?(plan: EnginePlan, node: number, kind: EngineFailure['kind']): Command
  /** The error for people; `details.signal` of it is the verdict's, where a process below the one that ended had it. Default: `E_ENGINE_START`, `E_ENGINE_ENDED`, `E_ENGINE_SILENT` with what is known. */
  explain?(failure: EngineFailure): GangflowError | undefined
  /** Whether a failed start may be tried once more. Default: yes. */
  mayRetry?(failure: EngineFailure): boolean
}

export interface EngineOptions {
  /** From the first start until all nodes are there, the second start included. Default 3 min. */
  readonly startTimeout?: Duration
  /** A node that does not answer for so long is lost. Default 6 s: after the gang's own lease. Its process is stopped by a signal: 5 s at most. */
  readonly silence?: Duration
  /** Starts in all. Default 2. */
  readonly starts?: number
}

/** Why a cluster is not, or no longer, whole. */
export interface EngineFailure {
  /** `ended`: a process of it ended. `silent`: a node stopped answering. `late`: not all came within `startTimeout`. */
  readonly kind: 'ended' | 'silent' | 'late'
  /** True while the cluster was being formed. */
  readonly starting: boolean
  /** Whom it is about: the first, where it is several. */
  readonly node: number
  readonly host: string
  /** All who were waited for. */
  readonly nodes: readonly number[]
  /** Of the process, as in its log. */
  readonly process: string
  /** How it ended. */
  readonly exit?: CommandResult
  /** Of who is silent: its process that a signal has stopped, such as `4711 (python)`. */
  readonly stopped?: string
  readonly afterMs: number
  /** What `logs` printed on the node, else the process's own last lines. */
  readonly quote: readonly string[]
}

/** A cluster whose nodes are all there. */
export interface EngineCluster {
  readonly plan: EnginePlan
  /** Milliseconds from the first start until the last node was there. */
  readonly startedMs: number
  /**
   * Runs a command on the control to its end; its exit is in the result, not thrown. When the cluster fails it is ended,
   * and the cluster's error thrown.
   */
  run(
    command: Command,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<CommandResult>
  /** Rejects with the cluster's error when it fails; never settles otherwise. The gang is told by then. */
  readonly failed: Promise<never>
  /** Ends this cluster's processes on all members, and nobody else's. */
  close(): Promise<void>
}

import type { CompiledFlow } from '../compile/contract.js'
import type { ArtifactRef, Datastore } from '../datastore/contract.js'
import type { ErrorFacts } from '../errors/base.js'
import type { Casualty, Cause } from '../errors/verdict.js'
import type { StepDescription } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { GangContext } from '../plugin/contract.js'
import type { CallContext, Methods, Peer } from './peer.js'
import type { Assignment, Completion, Role } from './protocol.js'

/** What a body process is started from. One started with all of it equal may take a task ahead of need or again. */
export interface BodySpec {
  readonly compiled: Pick<CompiledFlow, 'file' | 'bundle' | 'core'>
  /** The whole environment of the process, `@environment` of the step included. */
  readonly env: Readonly<Record<string, string>>
  /** Flags of Node itself. */
  readonly execArgv?: readonly string[]
}

/** One task's body, as the launcher (ordinary tasks) or an agent (a gang's member) asks for it. */
export interface BodyTask {
  readonly spec: BodySpec
  readonly assignment: Assignment
  /** Aborted with a `StopReason`: TERM to the body and everything below it, KILL after the grace. */
  readonly signal: AbortSignal
  /** Methods for this body alone, before the host's. */
  readonly methods?: Methods
  /** The body waits for a debugger just before the step's code; its URL comes as an event, and @timeout is off. */
  readonly inspect?: boolean
  /** True: a body that ended a task of the same step cleanly may take this one, and may be kept for the next. */
  readonly reuse?: boolean
  /** Called in order, never after the logs have been committed. */
  emit?(event: BodyEvent): void
  /** Events of the body that its host does not take itself, such as a gang's streams. */
  onEvent?(event: string, data: Json | undefined, payload: Uint8Array): void
}

/** Why a task is stopped: the reason of its signal. */
export interface StopReason {
  readonly cause: Cause
  /** One clause for people: `step 'fit' failed`, `cancelled by Ctrl-C`. */
  readonly why: string
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number
}

export type BodyEvent =
  /** The process has the task; `warm` when it was started ahead of need or served a task before. */
  | { readonly type: 'started'; readonly pid: number; readonly warm: boolean }
  | { readonly type: 'state'; readonly state: BodyState }
  | {
      readonly type: 'line'
      readonly stream: 'stdout' | 'stderr'
      readonly text: string
      /** Lines left out of the live view before this one. */
      readonly skipped?: number
    }
  | { readonly type: 'progress'; readonly data: Json }
  /** A debugger can be attached at this URL; the body waits for it. */
  | { readonly type: 'inspect'; readonly url: string }

export type BodyState = 'setup' | 'running' | 'teardown' | 'saving'

/** How a task's body ended. */
export type BodyOutcome =
  | { readonly ok: true; readonly completion: Extract<Completion, { ok: true }>; readonly durationMs: number }
  | {
      readonly ok: false
      readonly cause: Cause
      /** One sentence: what happened. */
      readonly summary: string
      readonly fix?: string
      readonly code: string
      readonly casualty: Casualty
      /** What the step threw, where it threw. */
      readonly error?: ErrorFacts
      /** `performance.now()` of this process when the failure was known, or when the process had ended. */
      readonly at: number
      readonly durationMs: number
    }

export interface BodyRun {
  /** The body's end of the conversation, once it has begun with the task; rejects when it never did. */
  readonly peer: Promise<Peer>
  /** Never rejects; settles when the task is done or its process has ended, logs may still be on their way. */
  readonly outcome: Promise<BodyOutcome>
  /** Settles when the whole output is in the datastore; rejects when it cannot be put there. */
  readonly logged: Promise<void>
  /** KILL to the body and everything below it, at once: for whoever will not wait for the grace. */
  kill(): void
}

/** Starts, feeds and ends bodies, and answers them, their ranks and their shims on one socket. */
export interface BodyHost {
  /** Path of the owner-only unix socket. */
  readonly socket: string
  run(task: BodyTask): BodyRun
  /** Has `count` bodies (default 1) started ahead of need; those never needed end with the host. */
  prepare(spec: BodySpec, count?: number): void
  /** Ends every body; one that still has a task gets TERM, then KILL after half a second. Settles when logs are committed. */
  close(): Promise<void>
}

/** Everyone else who connects: wrappers, shims, ranks, tools. */
export interface Visitor {
  readonly role: Exclude<Role, 'body'>
  readonly name: string
  readonly pid: number
}

/** Says what a visitor may call; throws a GangflowError to refuse it. */
export type Admit = (visitor: Visitor) => Methods

/** What the composition gives a body to make `current.parallel` and the plugins' context from (gang/). */
export type MakeContext = (request: ContextRequest) => GangContext

export interface ContextRequest {
  readonly peer: Peer
  readonly assignment: Assignment
  readonly step: StepDescription
  /** Aborted when the task is stopped. */
  readonly signal: AbortSignal
  readonly flowDir: string
  readonly datastore: Datastore
  /** Adds an artifact to those that the step itself leaves. */
  addArtifact(name: string, ref: ArtifactRef): void
  /** Events from the host that the body itself does not take. */
  onEvent(listener: (event: string, data: Json | undefined, payload: Uint8Array) => void): void
}

export type { CallContext, Methods }

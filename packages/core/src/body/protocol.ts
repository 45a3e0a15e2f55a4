import type { Roster } from '../current/roster.js'
import type { ArtifactRef } from '../datastore/contract.js'
import type { ArtifactTable, AttemptAddress, Frame, StoredTransition, TaskRef } from '../datastore/records.js'
import type { ErrorFacts } from '../errors/base.js'
import type { FlowDescription } from '../flow/description.js'
import type { Json } from '../flow/values.js'

/**
 * What bodies, wrappers and shims say to their own agent (or, for an ordinary task, to the launcher) over one
 * owner-only unix socket (DESIGN D5; docs/reference/protocol.md).
 *
 * A frame is: u32 big-endian length of the rest, u32 big-endian length of the header, the header as UTF-8 JSON
 * (one `Message`), then raw bytes (may be none). Either side may call; replies carry the call's id.
 */
export const BODY_PROTOCOL = 1

export type Message =
  | {
      readonly t: 'hello'
      readonly protocol: number
      readonly version: string
      readonly role: Role
      readonly name: string
      readonly pid: number
    }
  | { readonly t: 'welcome'; readonly protocol: number; readonly version: string }
  | { readonly t: 'refused'; readonly error: ErrorFacts }
  | { readonly t: 'call'; readonly id: number; readonly method: string; readonly params?: Json }
  | { readonly t: 'reply'; readonly id: number; readonly result?: Json; readonly error?: ErrorFacts }
  | { readonly t: 'abort'; readonly id: number; readonly reason: string }
  | { readonly t: 'event'; readonly event: string; readonly data?: Json }

export type Role = 'body' | 'wrapper' | 'shim' | 'rank' | 'tool'

/** What a body is to do: the params of the `run` call that its host makes. */
export interface Assignment {
  readonly address: AttemptAddress
  readonly epoch: number
  readonly node: number
  /** `Datastore.location`. */
  readonly datastore: string
  readonly description: FlowDescription
  readonly parents: readonly TaskRef[]
  readonly frames: readonly Frame[]
  readonly item?: ArtifactRef
  readonly parameters: ArtifactTable
  readonly user: string
  readonly tags: readonly string[]
  /** Directory of the attempt for temporary files. */
  readonly temp: string
  readonly timeoutMs?: number
  /** Waits for a debugger just before the step's code. */
  readonly inspect?: boolean
  readonly gang?: { readonly roster: Roster; readonly attempt: number }
}

/** The reply to `run`. */
export type Completion =
  | {
      readonly ok: true
      readonly artifacts: ArtifactTable
      readonly transition: StoredTransition
      readonly ambiguous?: Readonly<Record<string, readonly string[]>>
    }
  | { readonly ok: false; readonly error: ErrorFacts & { readonly name: string; readonly stack?: string } }

import type { BundleRef } from '../datastore/records.js'
import type { Duration } from '../errors/duration.js'
import type { FlowDescription } from '../flow/description.js'
import type { PackageOptions } from './package/contract.js'

/** A flow compiled once for a run (DESIGN D8). */
export interface CompiledFlow {
  /** Absolute path of the person's file. */
  readonly file: string
  /** Absolute path of the ESM bundle on this machine. */
  readonly bundle: string
  readonly ref: BundleRef
  /** Absolute path of the folder of `@gangflow/core` that the flow resolves: bodies load its `dist/body.js`. */
  readonly core: string
  readonly description: FlowDescription
  /** What the bundle is made of: for a package of it. */
  readonly uses: BundleUses
  /** What the person said of what travels, where code is delivered. */
  readonly package?: PackageOptions
}

/** Absolute paths of this machine. */
export interface BundleUses {
  /** Files of packages to which its imports are pinned. */
  readonly pinned: readonly string[]
  /** The project's own files in it. */
  readonly sources: readonly string[]
}

export interface CompileRequest {
  readonly file: string
  /** `NODE_OPTIONS`-like flags that bodies get too. */
  readonly execArgv?: readonly string[]
  readonly signal?: AbortSignal
  /** How long loading and describing the flow may take. Default 60 s. */
  readonly describeTimeout?: Duration
}

import type { BlobRef } from '../../datastore/contract.js'
import type { CompiledFlow } from '../contract.js'

/**
 * A flow with all that a body of it needs, stored as blobs: what a host without checkout and without install makes a
 * working copy from (DESIGN D8). Plain data, for the wire.
 */
export interface PackageRef {
  /** The blob of its manifest (manifest.ts). */
  readonly package: BlobRef
  /** What a whole copy has. */
  readonly files: number
  readonly bytes: number
}

/** The compiled flow on one machine: absolute paths. */
export type LocalFlow = Pick<CompiledFlow, 'file' | 'bundle' | 'core'>

export const isPackageRef = (flow: LocalFlow | PackageRef): flow is PackageRef => 'package' in flow

/** What travels besides the code that is imported; the `package` table of `gangflow.config.ts`. */
export interface PackageOptions {
  /**
   * Patterns as in `.gitignore`, from the flow's package folder: files that are else left out, such as `dist/`. And
   * `node_modules/NAME`: a package that no import shows, with what it depends on.
   */
  readonly include?: readonly string[]
  /** Patterns as in `.gitignore`: what stays here. */
  readonly exclude?: readonly string[]
  /** Bytes in all, or text such as `2GB`. Default 500 MB. */
  readonly limit?: number | string
}

/** How far a delivery is. */
export interface PackageProgress {
  readonly phase: 'pack' | 'install'
  /** Files and bytes of the whole copy. */
  readonly files: number
  readonly bytes: number
  /** Bytes, compressed, that were stored or fetched; the rest was there already. */
  readonly moved: number
}

export interface PackFlowOptions extends PackageOptions {
  /** The run under whose record the blobs are kept from `gc`. */
  readonly run?: { readonly flow: string; readonly run: string }
  progress?(progress: PackageProgress): void
}

export interface InstallOptions {
  /** Called for each thing that is done, also where nothing is moved, or by the process that installs for all. */
  progress?(progress: PackageProgress): void
}

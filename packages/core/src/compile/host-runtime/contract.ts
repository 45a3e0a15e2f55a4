import type { HostPlatform } from '../package/host-platform.js'

/** What is known of a host before anything is sent to it. */
export interface HostFacts {
  readonly platform: HostPlatform
  /** Version of the Node that is on its PATH, such as `v22.11.0`; absent without one. */
  readonly node?: string
}

/** What an agent needs on a host, as layers that it keeps by content; paths are relative to the folder that has them. */
export interface HostRuntime {
  readonly layers: readonly RuntimeLayer[]
  /** `LAYER/…/agent.cjs`. */
  readonly agent: string
  /** `LAYER/bin/node`; absent: the host's own Node serves. */
  readonly node?: string
  /** False where there is no native helper for the host's platform: its agents do without. */
  readonly keeper: boolean
}

/** Files that travel, and are kept, together: one folder of a host's runtime directory. */
export interface RuntimeLayer {
  /** `core-…`, `node-…`: what it is and the first half of the SHA-256 of its files' names, modes and bytes. */
  readonly name: string
  /** Bytes of its files, before compression. */
  readonly bytes: number
  readonly files: readonly RuntimeFile[]
}

export interface RuntimeFile {
  /** In the layer. */
  readonly path: string
  /** Absolute path on this machine. */
  readonly source: string
  readonly size: number
  readonly executable: boolean
}

import type { Readable } from 'node:stream'
import type { HostFacts } from './facts.js'

/** What a host is given before an agent can run there. Below its folder: `keeper`, `agent`, and, where sent, `node`. */
export interface HostRuntime {
  /** Names the folder on the host: of the content. */
  readonly hash: string
  /** Paths inside the folder. */
  readonly agent: string
  readonly node?: string
  /** An uncompressed tar, as `tar -xf -` reads it. */
  tar(): Readable
}

/** Finds what a host of these facts needs; throws where core cannot run there. */
export type RuntimeFor = (host: string, facts: HostFacts) => Promise<HostRuntime>

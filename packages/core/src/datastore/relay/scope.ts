import { type AttemptAddress, keys } from '../records.js'

/** What a client of the relay may do. Blobs may be read and put by everyone: who knows a hash was told of it. */
export interface RelayScope {
  /** Why anything else is refused: completes `reading record x is refused: …`. */
  readonly why: string
  /** A record, or all below a prefix. */
  reads(key: string): boolean
  writes(key: string, how: 'create' | 'replace'): boolean
  /** Deleting, listing all blobs, tidying. */
  readonly manages: boolean
}

/** Everything. */
export const wholeScope: RelayScope = { why: 'it has no reason', reads: () => true, writes: () => true, manages: true }

/** One attempt of a gang: reads its run and the one that it resumes, writes its own attempt's records, deletes nothing. */
export function gangScope(address: AttemptAddress, origin?: string): RelayScope {
  const { flow, run } = address
  const roots = [keys.runRoot(flow, run), ...(origin === undefined ? [] : [keys.runRoot(flow, origin)])]
  const attempt = keys.attempt(address)
  const done = keys.done(address)
  return {
    why: `a gang reads ${roots.map((root) => root.slice('flows/'.length)).join(' and ')} and writes its own attempt's records`,
    reads: (key) => roots.some((root) => isBelow(key, root)),
    writes: (key, how) => isBelow(key, attempt) || (how === 'create' && key === done),
    manages: false,
  }
}

const isBelow = (key: string, root: string): boolean => key.replace(/\/$/, '') === root || key.startsWith(`${root}/`)

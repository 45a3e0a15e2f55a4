import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Json } from '../flow/values.js'
import { progressChannel } from '../parallel-map/progress-channel.js'
import type { Peer } from './peer.js'

/** What a step's maps say of themselves goes to the host as progress: `{ map: MapProgress }`. Gives the end of that. */
export function forwardMapProgress(peer: Peer): () => void {
  const forward = (progress: unknown): void => {
    const known = Object.entries(progress as Record<string, Json | undefined>).filter(
      ([, value]) => value !== undefined,
    )
    peer.event('progress', { map: Object.fromEntries(known) as Json })
  }
  subscribe(progressChannel, forward)
  return () => {
    unsubscribe(progressChannel, forward)
  }
}

import type { Peer } from '../../body/peer.js'
import { GangflowError } from '../../errors/base.js'
import { milliseconds } from '../../errors/duration.js'
import type { Json } from '../../flow/values.js'
import type { CallOptions, Nodes } from '../../plugin/contract.js'

/** What every part of the context needs of the body's connection to its agent. */
export interface Link {
  readonly peer: Peer
  readonly node: number
  readonly size: number
  /** False in a step that no gang runs: there is nobody to ask. */
  readonly gang: boolean
  readonly step: string
  /** Aborted when the gang stops. */
  readonly signal: AbortSignal
  /** Listens to one kind of the agent's events. */
  on(event: string, listener: (data: Json, payload: Uint8Array) => void): void
}

/** A method of the agent; gives up when the gang stops or the caller does. */
export async function call(
  link: Link,
  method: string,
  params: Json,
  options: CallOptions = {},
  payload?: Uint8Array,
): Promise<{ result: Json | undefined; payload: Uint8Array }> {
  if (!link.gang) throw absent(link.step)
  const signal = options.signal ? AbortSignal.any([link.signal, options.signal]) : link.signal
  try {
    return await link.peer.callFrame(method, params, { signal, ...(payload ? { payload } : {}) })
  } catch (error) {
    if (link.signal.aborted) throw stopped(link.signal, method)
    throw error
  }
}

/** The timeout of a call in milliseconds, or null for the gang's own. */
export const timeoutOf = (options: CallOptions | undefined): number | null =>
  options?.timeout === undefined ? null : milliseconds(options.timeout)

const absent = (step: string): GangflowError =>
  new GangflowError({
    code: 'E_GANG_ABSENT',
    what: `step '${step}' has no gang to do this with`,
    fix: 'lead to it with { numParallel: n }',
    step,
  })

const stopped = (signal: AbortSignal, method: string): GangflowError =>
  new GangflowError(
    {
      code: 'E_GANG_STOPPED',
      what: `the gang was stopped during ${method.replace('gang.', '')}`,
      fix: 'the verdict names what failed first',
    },
    { cause: signal.reason },
  )

/** The node indices that a caller means; refuses one that is not in the gang. */
export function nodeList(link: Link, nodes: Nodes): number[] {
  const all = Array.from({ length: link.size }, (_, node) => node)
  if (nodes === 'all') return all
  if (nodes === 'others') return all.filter((node) => node !== link.node)
  return [...new Set(nodes)].map((node) => checkNode(link, node))
}

/** The index itself, or `E_GANG_NODE`. */
export function checkNode(link: Link, node: number): number {
  if (Number.isInteger(node) && node >= 0 && node < link.size) return node
  throw new GangflowError({
    code: 'E_GANG_NODE',
    what: `there is no node ${String(node)} in a gang of ${link.size}`,
    fix: `nodes are counted from 0 to ${link.size - 1}`,
  })
}

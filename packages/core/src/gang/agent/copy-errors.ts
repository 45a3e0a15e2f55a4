import { basename } from 'node:path'
import { GangflowError, messageOf } from '../../errors/base.js'

/** A node that could not take it, or got other bytes. */
export function refused(source: string, node: number, cause: unknown): GangflowError {
  const changed = (cause as { code?: unknown }).code === 'E_GANG_COPY_CONTENT'
  return new GangflowError(
    {
      code: changed ? 'E_GANG_COPY_CONTENT' : 'E_GANG_COPY',
      what: `copy of ${basename(source)} to node ${node} failed: ${messageOf(cause)}`,
      fix: changed
        ? 'do not write to a file while it is copied; if nobody did, suspect memory or disk of either host'
        : 'check the path and the free space there',
      node,
    },
    { cause },
  )
}

/** At the deadline; `waiting`: the nodes that had not answered. */
export function tooLate(
  source: string,
  size: number,
  timeoutMs: number,
  waiting: readonly number[],
  node: number,
  cause: unknown,
): GangflowError {
  return new GangflowError(
    {
      code: 'E_GANG_COPY_TIMEOUT',
      what: `copy of ${basename(source)} (${size} bytes) waited ${timeoutMs} ms for node ${waiting.join(', ')}`,
      fix: 'give copy a longer timeout',
      node,
    },
    { cause },
  )
}

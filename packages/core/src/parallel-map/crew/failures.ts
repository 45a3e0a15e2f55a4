import { GangflowError, messageOf } from '../../errors/base.js'
import { ItemError } from '../item-error.js'
import type { Gone } from './handle.js'

/** What a pool's `init` threw in a worker. */
export function initFailed(cause: unknown): GangflowError {
  const told = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  return new GangflowError(
    {
      code: 'E_POOL_INIT',
      what: `init failed in a worker: ${told}`,
      fix: 'it runs once in each worker, before any item; what it throws is the cause',
    },
    { cause },
  )
}

/** Workers that end before they hold an item end for a reason of their own. */
export function allDied(count: number, last: Gone): GangflowError {
  return new GangflowError(
    {
      code: 'E_POOL_START',
      what: `${count} workers died one after the other without an item in work: the last one ${last.how}`,
      fix: 'see the cause; a heap or memory ceiling too low, or a limit on threads or processes, can do this',
    },
    { cause: last.cause },
  )
}

/** The system, or a flag of Node, lets no worker be started. */
export function notStarted(cause: unknown): GangflowError {
  return new GangflowError(
    {
      code: 'E_POOL_START',
      what: `a worker could not be started: ${messageOf(cause)}`,
      fix: 'allow threads or processes here (limits of the system, --allow-worker beside --permission), or run with `serial: true`',
    },
    { cause },
  )
}

export function notRebuilt(cause: unknown): GangflowError {
  return new GangflowError(
    {
      code: 'E_MAP_CAPTURE',
      what: `the function could not be made anew in a worker: ${messageOf(cause)}`,
      fix: 'pass what it needs as items, or make it inside the function or in `init`',
    },
    { cause },
  )
}

/** Every item clones by itself: it is something captured that does not. */
export function notCloned(cause: unknown): GangflowError {
  return new GangflowError(
    {
      code: 'E_MAP_CAPTURE',
      what: `something that the function uses cannot be sent to a worker: ${messageOf(cause)}`,
      fix: "open it inside the function or in the pool's `init`",
    },
    { cause },
  )
}

export function notSendable(index: number, item: unknown, why: string, cause?: unknown): ItemError {
  return new ItemError(
    {
      code: 'E_MAP_SEND',
      what: `cannot be sent to a worker: ${why}`,
      fix: 'map over plain data (numbers, text, arrays, objects, Map, Set, typed arrays) and make the rest of it inside the function',
      index,
      item,
    },
    { cause },
  )
}

export function clones(item: unknown): boolean {
  try {
    structuredClone(item)
    return true
  } catch {
    return false
  }
}

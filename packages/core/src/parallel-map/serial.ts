import type { AnyFunction } from './begin-map.js'
import { checkFunction } from './begin-map.js'
import { capture } from './capture/capture.js'
import type { Items, IterOptions } from './contract.js'
import { notSendable } from './crew/failures.js'
import { itemErrorOf } from './item-error.js'
import { checkItems } from './job/source.js'
import { mapSettings } from './options.js'
import { Progress } from './progress.js'
import { unsendable } from './sendable.js'
import { toWire } from './worker/wire-error.js'

/** What stands for the worker: its number and what `init` gave. */
export interface SerialContext {
  readonly worker: number
  readonly state: unknown
}

/**
 * Maps in this thread, one item after the other. The function is the person's own, so that a debugger stops in it; items
 * and results are copied, and what could not be sent is refused, as with workers.
 */
export async function* mapSerially(
  items: Items<unknown>,
  fn: AnyFunction,
  options: IterOptions,
  context: SerialContext,
  check: boolean,
): AsyncGenerator<unknown, void, undefined> {
  const { collect } = mapSettings(options)
  checkFunction(fn)
  if (check) await capture(fn, 'thread')
  checkItems(items)
  const progress = new Progress(options, () => (Array.isArray(items) ? items.length : undefined))
  let index = 0
  const endIfBroken = (): void => {
    if (progress.broken) throw progress.broken.error
  }
  try {
    for await (const item of items as AsyncIterable<unknown>) {
      options.signal?.throwIfAborted()
      const outcome = await settled(() => one(fn, item, index++, context))
      if (outcome.status === 'fulfilled') progress.done(1)
      else progress.failed()
      endIfBroken()
      if (collect) yield outcome
      else if (outcome.status === 'rejected') throw outcome.reason
      else yield outcome.value
    }
  } finally {
    progress.end()
  }
  endIfBroken()
}

async function settled(run: () => Promise<unknown>): Promise<PromiseSettledResult<unknown>> {
  const [outcome] = await Promise.allSettled([run()])
  return outcome
}

async function one(fn: AnyFunction, item: unknown, index: number, context: SerialContext): Promise<unknown> {
  const copy = copied(item, (why, cause) => {
    throw notSendable(index, item, why, cause)
  })
  let result: unknown
  try {
    result = await fn(copy as never, index, context as never)
  } catch (thrown) {
    const error = itemErrorOf(toWire(thrown), index, item, [])
    // The very error, and not a copy of it: it was thrown in this thread.
    Object.defineProperty(error, 'cause', { value: thrown, configurable: true, writable: true })
    error.calledFrom('')
    throw error
  }
  return copied(result, (why, cause) => {
    throw itemErrorOf(toWire(cause ?? new TypeError(why), 'result'), index, item, [])
  })
}

function copied(value: unknown, lost: (why: string, cause?: unknown) => never): unknown {
  const why = ArrayBuffer.isView(value) ? undefined : unsendable(value)
  if (why !== undefined) lost(why)
  if (ArrayBuffer.isView(value) && value.buffer instanceof SharedArrayBuffer) return value
  try {
    return structuredClone(value)
  } catch (error) {
    return lost((error as Error).message, error)
  }
}

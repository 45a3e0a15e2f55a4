import { ItemError } from '../item-error.js'
import type { Chunk } from '../job/source.js'
import type { Flying } from './flying.js'
import type { Gone } from './handle.js'
import type { Sentence } from './member.js'

/** What becomes of a batch whose worker is gone: the items that it held fail, the others are done elsewhere. */
export interface Loss {
  readonly failed: readonly { readonly index: number; readonly error: ItemError }[]
  readonly again: readonly Chunk[]
}

export function lossOf(flying: Flying, gone: Gone, sentence: Sentence | undefined): Loss {
  const held = gone.held.filter(({ batch, position }) => batch === flying.number && !flying.isSettled(position))
  const positions = new Set(held.map(({ position }) => position))
  const guilty = new Set([...positions].filter((position) => isGuilty(position, flying, sentence)))
  // Of a batch that was moved here nothing is left to send again.
  if (flying.moved) for (let at = 0; at < flying.chunk.items.length; at++) if (!flying.isSettled(at)) guilty.add(at)
  const failed = [...guilty]
    .sort((a, b) => a - b)
    .map((position) => {
      const index = flying.chunk.first + position
      const item = flying.chunk.items[position]
      const others = positions.has(position) ? [...positions].filter((one) => one !== position) : undefined
      return {
        index,
        error: errorFor(
          index,
          item,
          gone,
          sentence,
          others?.map((one) => flying.chunk.first + one),
        ),
      }
    })
  return { failed, again: flying.unsettled(guilty) }
}

/** A worker that was ended for another item's sake, or another map's, loses nothing by this one's fault. */
function isGuilty(position: number, flying: Flying, sentence: Sentence | undefined): boolean {
  if (sentence?.why === 'stop' || sentence?.why === 'resize') return false
  if (sentence?.why !== 'timeout') return true
  return sentence.held?.batch === flying.number && sentence.held.position === position
}

function errorFor(
  index: number,
  item: unknown,
  gone: Gone,
  sentence: Sentence | undefined,
  others: readonly number[] | undefined,
): ItemError {
  const beside = others && others.length > 0 ? `, as did items ${others.join(', ')}: it may have been any of them` : ''
  if (sentence?.why === 'timeout') {
    return new ItemError({
      code: 'E_MAP_TIMEOUT',
      what: 'took longer than its timeout; its worker was replaced',
      fix: 'raise `timeout`, or make the items smaller',
      index,
      item,
    })
  }
  if (sentence?.why === 'memory') {
    return new ItemError({
      code: 'E_MAP_MEMORY',
      what: `was in work when the memory ceiling was passed${beside}; its worker was replaced`,
      fix: 'raise `maxMemory`, give fewer `workers`, or make the items smaller',
      index,
      item,
    })
  }
  return new ItemError(
    {
      code: 'E_MAP_WORKER',
      what: others
        ? `was in work when its worker ${gone.how}${beside}; the worker was replaced`
        : `went with its worker, which ${gone.how}: its buffers had been moved there`,
      fix: "run it with `serial: true` to see it here; what native code breaks needs `isolation: 'process'`",
      index,
      item,
    },
    { cause: gone.cause },
  )
}

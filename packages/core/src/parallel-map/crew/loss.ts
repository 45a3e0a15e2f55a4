import { ItemError } from '../item-error.js'
import type { Chunk } from '../job/source.js'
import type { Flying } from './flying.js'
import type { Gone, Held } from './handle.js'
import type { Sentence } from './member.js'

/** What becomes of a batch whose worker is gone: the item that it held fails, the others are done elsewhere. */
export interface Loss {
  readonly failed: readonly { readonly index: number; readonly error: ItemError }[]
  readonly again: readonly Chunk[]
  /** How many of `again` may have been the one. */
  readonly doubtful: number
}

/** What the worker had in work and had not said the result of. */
export function suspectsOf(flying: Iterable<Flying>, gone: Gone): Held[] {
  const batches = new Map([...flying].map((one) => [one.number, one]))
  return gone.held.filter(({ batch, position }) => batches.get(batch)?.isSettled(position) === false)
}

export function lossOf(flying: Flying, suspects: readonly Held[], gone: Gone, sentence: Sentence | undefined): Loss {
  const { items, first } = flying.chunk
  const held = new Set(suspects.filter(({ batch }) => batch === flying.number).map(({ position }) => position))
  // Of a batch that was moved here nothing is left to send again.
  const lost = flying.moved ? items.map((_, at) => at).filter((at) => !flying.isSettled(at)) : []
  const guilty = new Set([...lost, ...[...held].filter((at) => isGuilty(at, flying, suspects, sentence))])
  const doubtful = new Set([...held].filter((at) => !guilty.has(at) && isDoubtful(at, flying, sentence)))
  const failed = [...guilty]
    .sort((one, other) => one - other)
    .map((at) => ({ index: first + at, error: errorFor(first + at, items[at], held.has(at), gone, sentence) }))
  const alone = [...doubtful].map((at) => ({ first: first + at, items: [items[at]], alone: true }))
  return { failed, again: [...flying.unsettled(new Set([...guilty, ...doubtful])), ...alone], doubtful: alone.length }
}

/**
 * Whether an item ended its worker: the only one in work there. A worker that was ended for another map's sake loses
 * nothing by its items' fault; of several, each is tried again by itself.
 */
function isGuilty(
  position: number,
  flying: Flying,
  suspects: readonly Held[],
  sentence: Sentence | undefined,
): boolean {
  if (suspects.length > 1) return false
  if (sentence?.why === 'stop' || sentence?.why === 'resize') return false
  return sentence?.why !== 'timeout' || isNamed(position, flying, sentence)
}

/** One that took too long may have waited for another that kept the thread busy. */
function isDoubtful(position: number, flying: Flying, sentence: Sentence | undefined): boolean {
  if (sentence?.why === 'timeout') return isNamed(position, flying, sentence)
  return sentence === undefined || sentence.why === 'memory'
}

function isNamed(position: number, flying: Flying, sentence: Sentence): boolean {
  return sentence.held?.batch === flying.number && sentence.held.position === position
}

function errorFor(index: number, item: unknown, held: boolean, gone: Gone, sentence: Sentence | undefined): ItemError {
  if (held && sentence?.why === 'timeout') {
    return new ItemError({
      code: 'E_MAP_TIMEOUT',
      what: 'took longer than its timeout; its worker was replaced',
      fix: 'raise `timeout`, or make the items smaller',
      index,
      item,
    })
  }
  if (held && sentence?.why === 'memory') {
    return new ItemError({
      code: 'E_MAP_MEMORY',
      what: 'was in work when the memory ceiling was passed; its worker was replaced',
      fix: 'raise `maxMemory`, give fewer `workers`, or make the items smaller',
      index,
      item,
    })
  }
  return new ItemError(
    {
      code: 'E_MAP_WORKER',
      what: held
        ? `was in work when its worker ${gone.how}; the worker was replaced`
        : `went with its worker, which ${gone.how}: its buffers had been moved there`,
      fix: fixFor(gone.how),
      index,
      item,
    },
    { cause: gone.cause },
  )
}

function fixFor(how: string): string {
  if (/SIGKILL/.test(how))
    return 'the system kills so where memory runs out: give fewer `workers`, smaller items, or a `maxMemory` that it can have'
  if (/ran out of memory/.test(how)) return 'raise `heap`, or make the items smaller'
  // Threads have no signals of their own: this was a process.
  if (/ended by SIG(?:ABRT|TRAP|ILL)/.test(how))
    return 'V8 ends a process so where its heap is full: raise `heap`, or make the items smaller; else run that item with `serial: true`'
  if (/ended by SIG/.test(how))
    return "run that item with `serial: true` under a debugger; `onError: 'collect'` keeps the others"
  return "run it with `serial: true` to see it here; what native code breaks needs `isolation: 'process'`"
}

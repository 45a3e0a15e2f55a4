import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'

/** One member's part in the `seq`-th collective of the epoch. */
export interface Part {
  readonly node: number
  readonly seq: number
  readonly op: 'barrier' | 'broadcast' | 'allGather'
  readonly name: string
  /** For a broadcast: whose value it is. */
  readonly from?: number
  readonly head: Json
  readonly bytes: Uint8Array
  readonly timeoutMs: number
}

interface Value {
  readonly head: Json
  readonly bytes: Uint8Array
}

interface Entry {
  readonly first: Part
  readonly parts: Map<number, Part>
  readonly done: Promise<readonly Value[]>
  readonly settle: (values: readonly Value[]) => void
  readonly fail: (error: GangflowError) => void
  timer: NodeJS.Timeout | undefined
  deadline: number
}

/**
 * The collectives of an epoch, matched by order of call, on the control's agent: every member sends its part, in a
 * large gang up a tree (relay.ts), and gets the result. A member that calls something else, or whose body has ended, is
 * an error for all who wait, at once.
 */
export class Collectives {
  readonly #size: number
  readonly #entries = new Map<number, Entry>()
  readonly #left = new Map<number, number>()
  readonly #broken = new Map<number, GangflowError>()

  constructor(size: number) {
    this.#size = size
  }

  /** Settles with what this member gets: nothing, one value, or all in node order. */
  async take(part: Part, signal?: AbortSignal): Promise<readonly Value[]> {
    const broken = this.#broken.get(part.seq)
    if (broken) throw broken
    const entry = this.#entries.get(part.seq) ?? this.#open(part)
    const mismatch = describe(entry.first) !== describe(part)
    if (mismatch) {
      this.#fail(part.seq, entry, mismatchError(entry.first, part))
      return entry.done
    }
    entry.parts.set(part.node, part)
    this.#arm(part, entry)
    const gone = [...this.#left].find(([node, calls]) => calls < part.seq && !entry.parts.has(node))
    if (gone) this.#fail(part.seq, entry, leftError(part, gone[0]))
    else if (entry.parts.size === this.#size) this.#complete(part.seq, entry)
    if (!signal) return entry.done
    const given = () => {
      if (entry.parts.get(part.node) === part) entry.parts.delete(part.node)
    }
    signal.addEventListener('abort', given, { once: true })
    try {
      return await entry.done
    } finally {
      signal.removeEventListener('abort', given)
    }
  }

  /** A member waits no more. */
  withdraw(seq: number, node: number): void {
    this.#entries.get(seq)?.parts.delete(node)
  }

  /** A member's body has ended well after `calls` collectives: whoever waits for more from it is told. */
  leave(node: number, calls: number): void {
    this.#left.set(node, calls)
    for (const [seq, entry] of this.#entries) {
      if (seq > calls && !entry.parts.has(node)) this.#fail(seq, entry, leftError(entry.first, node))
    }
  }

  #open(first: Part): Entry {
    let settle!: Entry['settle']
    let fail!: Entry['fail']
    const done = new Promise<readonly Value[]>((resolve, reject) => {
      settle = resolve
      fail = reject
    })
    done.catch(() => {})
    const entry: Entry = {
      first,
      parts: new Map(),
      done,
      settle,
      fail,
      timer: undefined,
      deadline: Number.POSITIVE_INFINITY,
    }
    this.#entries.set(first.seq, entry)
    return entry
  }

  /** The earliest deadline of those who wait is the entry's: after it nobody can complete it any more. */
  #arm(part: Part, entry: Entry): void {
    const deadline = performance.now() + part.timeoutMs
    if (deadline >= entry.deadline) return
    entry.deadline = deadline
    clearTimeout(entry.timer)
    entry.timer = setTimeout(
      () => this.#fail(part.seq, entry, this.#late(part, entry)),
      Math.min(part.timeoutMs, 2 ** 31 - 1),
    )
  }

  #complete(seq: number, entry: Entry): void {
    const { op, from } = entry.first
    this.#close(seq, entry)
    if (op === 'barrier') entry.settle([])
    else if (op === 'broadcast') entry.settle([entry.parts.get(from ?? 0)!])
    else entry.settle(Array.from({ length: this.#size }, (_, node) => entry.parts.get(node)!))
  }

  #fail(seq: number, entry: Entry, error: GangflowError): void {
    this.#close(seq, entry)
    this.#broken.set(seq, error)
    entry.fail(error)
  }

  #close(seq: number, entry: Entry): void {
    clearTimeout(entry.timer)
    this.#entries.delete(seq)
  }

  #late(part: Part, entry: Entry): GangflowError {
    const missing = Array.from({ length: this.#size }, (_, node) => node).filter((node) => !entry.parts.has(node))
    const here = [...entry.parts.keys()].sort((a, b) => a - b)
    return new GangflowError({
      code: 'E_GANG_COLLECTIVE_TIMEOUT',
      what: `${describe(part)} waited ${part.timeoutMs} ms for ${nodes(missing)}; ${nodes(here)} had called it`,
      fix: 'see what the missing ones were doing (their last lines), or give the call a longer timeout',
      details: { missing, here, deadlineOf: part.node },
    })
  }
}

/** `barrier("loaded")`. */
export const describe = (part: Pick<Part, 'op' | 'name' | 'from'>): string => {
  const name = part.name === '' ? '' : JSON.stringify(part.name)
  const from = part.op === 'broadcast' && part.from ? ` from node ${part.from}` : ''
  return `${part.op}(${name})${from}`
}

/** `node 2`, `nodes 1, 2 and 5`. */
export function nodes(list: readonly number[]): string {
  if (list.length === 0) return 'nobody'
  if (list.length === 1) return `node ${list[0]}`
  const shown = list.length > 12 ? [...list.slice(0, 10).map(String), `${list.length - 10} more`] : list.map(String)
  return `nodes ${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}

const ordinal = (n: number): string => {
  const tail = n % 100 > 10 && n % 100 < 14 ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[n % 10] ?? 'th')
  return `${n}${tail}`
}

function mismatchError(first: Part, other: Part): GangflowError {
  return new GangflowError({
    code: 'E_GANG_COLLECTIVE_MISMATCH',
    what: `the members disagree about their ${ordinal(first.seq)} collective: node ${first.node} called ${describe(first)}, node ${other.node} called ${describe(other)}`,
    fix: 'call the same collectives in the same order on every member; none under a condition that differs between nodes',
    details: { seq: first.seq, nodes: [first.node, other.node] },
  })
}

function leftError(part: Part, gone: number): GangflowError {
  return new GangflowError({
    code: 'E_GANG_COLLECTIVE_MISMATCH',
    what: `node ${part.node} called ${describe(part)} as its ${ordinal(part.seq)} collective, but the step of node ${gone} ended without calling it`,
    fix: 'call the same collectives on every member; none under a condition that differs between nodes',
    details: { seq: part.seq, nodes: [part.node, gone] },
  })
}

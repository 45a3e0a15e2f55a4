import type { Complaints } from './complain.js'
import type { GraphStep } from './graph.js'
import { targetsOf } from './graph.js'

/** A split that a step is inside of. */
interface Open {
  readonly split: string
  readonly kind: 'branch' | 'foreach' | 'gang'
  /** The step that begins this way. */
  readonly arm: string
}

/** Which split each join closes. */
export type Closes = ReadonlyMap<string, string>

interface Nesting {
  readonly steps: ReadonlyMap<string, GraphStep>
  readonly complaints: Complaints
  readonly isJoin: (name: string) => boolean
  /** What each step is inside of, as first reached, and from where. */
  readonly within: Map<string, { readonly open: readonly Open[]; readonly from: string }>
  /** For each join: the arms of its split that lead to it. */
  readonly arms: Map<string, Set<string>>
  readonly closes: Map<string, string>
  /** Steps about which one complaint is enough. */
  readonly spoilt: Set<string>
}

/** Follows every way from `start`, and complains about splits that are not joined as they were made. */
export function checkNesting(
  steps: ReadonlyMap<string, GraphStep>,
  isJoin: (name: string) => boolean,
  complaints: Complaints,
  reported: Set<string>,
): Closes {
  const nesting: Nesting = {
    steps,
    complaints,
    isJoin,
    within: new Map(),
    arms: new Map(),
    closes: new Map(),
    spoilt: new Set(),
  }
  nesting.within.set('start', { open: [], from: 'start' })
  const queue = ['start']
  for (const name of queue) {
    const { transition } = steps.get(name)!
    const { open } = nesting.within.get(name)!
    for (const target of targetsOf(transition)) {
      const kind = transition!.kind
      const split = kind === 'branch' || kind === 'foreach' || kind === 'gang' ? kind : undefined
      const inside = split ? [...open, { split: name, kind: split, arm: target }] : open
      if (arrive(nesting, name, target, inside, split)) queue.push(target)
    }
  }
  checkArms(nesting, reported)
  return nesting.closes
}

/** Notes that a step is reached; true when for the first time. */
function arrive(
  nesting: Nesting,
  from: string,
  target: string,
  open: readonly Open[],
  split: string | undefined,
): boolean {
  const { complaints, within, spoilt, isJoin, arms, closes } = nesting
  const complain = (what: string, fix: string) => {
    if (!spoilt.has(target)) complaints.add('E_GRAPH_JOIN', target, what, fix)
    spoilt.add(target)
    return false
  }
  const first = within.get(target)
  if (!isJoin(target)) {
    if (first === undefined) within.set(target, { open, from })
    else if (keyOf(first.open) !== keyOf(open)) complain(...different(target, first, { open, from }))
    return first === undefined
  }
  if (split === 'gang' || split === 'branch')
    return complain(
      `${from} splits straight into ${target}, which joins`,
      split === 'gang'
        ? `put the gang step between: this.next(this.train, { numParallel: 4 }), and in train this.next(this.${target})`
        : `let each branch have a step of its own that leads to ${target}`,
    )
  const closed = open.at(-1)
  if (closed === undefined)
    return complain(
      `${target} takes an argument, and there is nothing to join where ${from} leads to it`,
      `remove the argument of ${target}; only a join takes inputs, and only the target of a foreach takes an item`,
    )
  const other = closes.get(target)
  const outside = open.slice(0, -1)
  if ((other !== undefined && other !== closed.split) || (first !== undefined && keyOf(first.open) !== keyOf(outside)))
    return complain(
      `${target} is to join two splits at once: of ${other ?? closed.split} (by ${first?.from ?? from}) and of ${closed.split} (by ${from})`,
      `join the split of ${closed.split} in a step of its own that leads to ${target}`,
    )
  closes.set(target, closed.split)
  arms.set(target, (arms.get(target) ?? new Set()).add(closed.arm))
  if (first === undefined) within.set(target, { open: outside, from })
  return first === undefined
}

function checkArms({ steps, complaints, within, arms, closes, spoilt }: Nesting, reported: Set<string>): void {
  for (const [join, seen] of arms) {
    const split = closes.get(join)!
    const rival = [...closes].find(([name, other]) => other === split && name !== join)?.[0]
    if (rival !== undefined && !reported.has(split)) {
      reported.add(split)
      complaints.add(
        'E_GRAPH_JOIN',
        split,
        `the split of ${split} is joined by both ${join} and ${rival}`,
        'let all its ways lead to one join',
      )
    }
    const { transition } = steps.get(split)!
    const missing = transition?.kind === 'branch' ? transition.targets.filter((arm) => !seen.has(arm)) : []
    if (missing.length > 0 && !reported.has(split) && !spoilt.has(join)) {
      reported.add(split)
      complaints.add(
        'E_GRAPH_JOIN',
        join,
        `${join} joins ${list([...seen])} of the split of ${split}, but ${list(missing)} ${missing.length > 1 ? 'do' : 'does'} not lead to it`,
        `let ${list(missing)} lead to ${join} by this.next(this.${join})`,
      )
    }
  }
  // What a wrong meeting of ways entails would only hide it.
  if (spoilt.size > 0) return
  for (const open of within.get('end')?.open ?? []) {
    if (reported.has(open.split)) continue
    reported.add(open.split)
    complaints.add(
      'E_GRAPH_UNJOINED',
      open.split,
      `the ${open.kind} of ${open.split} is not joined before the end`,
      `add a join, such as '@step join(inputs: Inputs<MyFlow>) { this.next(this.end) }', and lead to it from ${open.arm}`,
    )
  }
  for (const [name, { transition }] of steps) {
    const splits = transition?.kind === 'branch' || transition?.kind === 'foreach' || transition?.kind === 'gang'
    if (!splits || !within.has(name) || reported.has(name) || [...closes.values()].includes(name)) continue
    complaints.add(
      'E_GRAPH_UNJOINED',
      name,
      `the ${transition.kind} of ${name} is joined nowhere`,
      'let all its ways lead to one step that takes inputs',
    )
  }
}

function keyOf(open: readonly Open[]): string {
  return open.map(({ split, arm }) => `${split}>${arm}`).join('/')
}

interface Reached {
  readonly open: readonly Open[]
  readonly from: string
}

function different(target: string, a: Reached, b: Reached): [what: string, fix: string] {
  const top = [a.open.at(-1), b.open.at(-1)] as const
  if (top[0] && top[1] && top[0].split === top[1].split && a.open.length === b.open.length)
    return [
      `${target} is reached by the branches ${top[0].arm} and ${top[1].arm} of ${top[0].split}, and does not join them`,
      `let it take what they left: ${target}(inputs: Inputs<MyFlow, '${a.from}' | '${b.from}'>)`,
    ]
  const where = ({ open, from }: Reached) =>
    `from ${from} ${open.length === 0 ? 'outside of any split' : `inside the ${open.at(-1)!.kind} of ${open.at(-1)!.split}`}`
  return [
    `${target} is reached ${where(a)}, and ${where(b)}`,
    `join the inner split before ${target}, or write two steps`,
  ]
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

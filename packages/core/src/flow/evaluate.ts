import { GangflowError } from '../errors/base.js'
import { show } from '../errors/show.js'
import { type Asked, badNext } from './choose.js'
import type { Transition } from './description.js'
import type { ChosenTransition } from './invocation.js'

/** What the step chose, with items and condition looked up in its artifacts. */
export async function evaluate(
  step: string,
  asked: Asked | undefined,
  flow: Record<string, unknown>,
): Promise<ChosenTransition> {
  if (asked === undefined) {
    if (step === 'end') return { kind: 'end' }
    throw new GangflowError({
      code: 'E_NEXT_MISSING',
      what: `${step} ended without this.next(…)`,
      fix: `end it with this.next(this.end), or whatever step follows; no 'return' may come before it`,
      step,
    })
  }
  if (asked.kind === 'foreach') {
    const { target, artifact, reuse } = asked
    return { kind: 'foreach', target, artifact, reuse, items: await itemsOf(step, artifact, flow[artifact]) }
  }
  if (asked.kind === 'switch') return { kind: 'next', targets: [caseOf(step, asked, flow[asked.condition])] }
  return asked
}

async function itemsOf(step: string, artifact: string, value: unknown): Promise<unknown[]> {
  const iterable = value as { [Symbol.iterator]?: unknown; [Symbol.asyncIterator]?: unknown } | null | undefined
  const items: unknown[] = []
  if (typeof iterable?.[Symbol.iterator] === 'function') for (const item of value as Iterable<unknown>) items.push(item)
  else if (typeof iterable?.[Symbol.asyncIterator] === 'function')
    for await (const item of value as AsyncIterable<unknown>) items.push(item)
  else
    throw new GangflowError({
      code: 'E_FOREACH_ITEMS',
      what: `${step} asks for a foreach over '${artifact}', which is ${value === undefined ? 'not set' : `no list but ${show(value)}`}`,
      fix: `set this.${artifact} to a list (anything that can be iterated) before this.next(…)`,
      step,
    })
  if (items.length > 0) return items
  throw new GangflowError({
    code: 'E_FOREACH_EMPTY',
    what: `${step} asks for a foreach over '${artifact}', which is empty`,
    fix: `a foreach needs at least one item; when there may be none, choose another way by a switch: this.next({ some: this.a, none: this.b }, { condition: 'kind' })`,
    step,
  })
}

function caseOf(step: string, asked: Extract<Asked, { kind: 'switch' }>, value: unknown): string {
  const key =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
  if (key !== undefined && Object.hasOwn(asked.cases, key)) return asked.cases[key]!
  throw new GangflowError({
    code: 'E_SWITCH_CASE',
    what: `${step} chooses by '${asked.condition}', which is ${value === undefined ? 'not set' : show(value)}`,
    fix: `set this.${asked.condition} to one of: ${Object.keys(asked.cases).join(', ')}; or add the case`,
    step,
  })
}

/** Refuses what differs from the described transition: the run was planned by that. */
export function compare(step: string, asked: Asked | undefined, described: Transition | undefined): void {
  if (described === undefined || asked === undefined) return
  const same =
    asked.kind === 'next'
      ? (described.kind === 'linear' && asked.targets.length === 1 && asked.targets[0] === described.target) ||
        (described.kind === 'branch' && asked.targets.join() === described.targets.join())
      : asked.kind === 'switch'
        ? described.kind === 'switch' &&
          described.condition === asked.condition &&
          sameCases(described.cases, asked.cases)
        : asked.kind === described.kind &&
          asked.target === described.target &&
          (asked.kind === 'foreach' ? asked.artifact === (described as { artifact: string }).artifact : true)
  if (same) return
  throw badNext(
    step,
    'leads elsewhere than its source said when the flow was checked',
    'pass the steps literally, as this.name',
  )
}

function sameCases(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}

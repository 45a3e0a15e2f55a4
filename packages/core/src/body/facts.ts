import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { stackLocation } from '../compile/stack-location.js'
import { GangflowError, messageOf, type SourceLocation } from '../errors/base.js'
import type { Completion } from './protocol.js'

type Facts = Extract<Completion, { ok: false }>['error']

/** Causes told of one error, at most. */
const longestChain = 10

/** What a step threw, as its Completion tells it: the person's own file and line, and what caused it. */
export function errorFacts(thrown: unknown, step: string): Facts {
  const location = locationOf(thrown)
  const chain = causesOf(thrown)
  const own = GangflowError.is(thrown)
    ? thrown.toJSON()
    : {
        code: 'E_STEP_FAILED',
        what: thrown instanceof Error ? messageOf(thrown) : `a value that is no error: ${inspect(thrown)}`,
      }
  const code = (thrown as NodeJS.ErrnoException | null)?.code
  const details = {
    ...own.details,
    ...(!GangflowError.is(thrown) && typeof code === 'string' ? { code } : {}),
    ...(chain.length > 0 ? { causes: chain } : {}),
  }
  return {
    ...own,
    step: own.step ?? step,
    name: thrown instanceof Error ? thrown.name : 'Thrown',
    ...((own.location ?? location) ? { location: own.location ?? location! } : {}),
    ...(Object.keys(details).length > 0 ? { details } : {}),
    ...(thrown instanceof Error ? { stack: stackOf(thrown) } : {}),
  }
}

/** The causes behind an error, nearest first; of an AggregateError its errors. */
function causesOf(thrown: unknown): { name: string; message: string; stack?: string }[] {
  const found: { name: string; message: string; stack?: string }[] = []
  const seen = new Set<unknown>([thrown])
  const visit = (error: unknown) => {
    if (error === undefined || error === null || seen.has(error) || found.length >= longestChain) return
    seen.add(error)
    found.push(
      error instanceof Error
        ? { name: error.name, message: error.message, stack: stackOf(error) }
        : { name: 'Thrown', message: inspect(error) },
    )
    follow(error)
  }
  const follow = (error: unknown) => {
    if (error instanceof AggregateError) error.errors.forEach(visit)
    if (error instanceof Error) visit(error.cause)
  }
  follow(thrown)
  return found
}

/** The innermost place in the person's own code where it was thrown. */
export function locationOf(thrown: unknown): SourceLocation | undefined {
  return thrown instanceof Error ? stackLocation(stackOf(thrown)) : undefined
}

const ours = [new URL('.', import.meta.url).href, fileURLToPath(new URL('.', import.meta.url))]

/** The stack without the frames of core and of Node, where others are left. */
function stackOf(error: Error): string {
  let stack: string
  try {
    stack = String(error.stack ?? error)
  } catch {
    return '(its stack cannot be read)'
  }
  const lines = stack.split('\n')
  const kept = lines.filter(
    (line) => !/^\s+at /.test(line) || !(ours.some((place) => line.includes(place)) || /\(?node:internal\//.test(line)),
  )
  return (kept.some((line) => /^\s+at /.test(line)) ? kept : lines).join('\n')
}

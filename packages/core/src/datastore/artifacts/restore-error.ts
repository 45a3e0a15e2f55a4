import { type ErrorFacts, GangflowError } from '../../errors/base.js'
import { NAME } from './tags.js'

const builtIn: Readonly<Record<string, new (message?: string) => Error>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}

/** Errors come back as the nearest built-in class, with name, message, stack, cause and own properties. */
export const restoreError = {
  /** Empty first: an error may be its own cause's cause. */
  create(kind: string, builtInName: string): Error {
    if (kind === NAME.gangflowError) return new GangflowError({ code: '', what: '' } satisfies ErrorFacts)
    if (builtInName === 'AggregateError') return new AggregateError([])
    return new (builtIn[builtInName] ?? Error)()
  },

  fill(error: Error, hidden: Readonly<Record<string, unknown>>, own: Readonly<Record<string, unknown>>): void {
    for (const key of Object.keys(own)) define(error, key, own[key], true)
    for (const key of Object.keys(hidden)) {
      if (key === 'name' && error.name === hidden[key]) continue
      if (!Object.hasOwn(own, key)) define(error, key, hidden[key], false)
    }
  },
}

function define(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true })
}

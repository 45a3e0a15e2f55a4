import { GangflowError } from '../errors/base.js'
import { show } from '../errors/show.js'
import { nearest } from './complain.js'
import { flagOf } from './describe-parameters.js'
import type { ParameterDescription } from './description.js'

/** A file parameter whose content has yet to be read. */
export interface FileValue {
  /** As given; relative to `base`. */
  readonly path: string
  /** Whose folder a relative path means: where the person is, or where the flow lies (a default). */
  readonly base: 'cwd' | 'flow'
}

/** True for what `coerceParameters` gives for a file by path; a file given as bytes is a Uint8Array. */
export function isFileValue(value: unknown): value is FileValue {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof Uint8Array) &&
    typeof (value as FileValue).path === 'string' &&
    'base' in value
  )
}

/**
 * Checks given values against a flow's parameters, and completes them by the defaults. `text`: values are command-line
 * text (a boolean flag may be `true`), and names may be flags; `value`: they are what `run()` was given, by field.
 * Throws one error that lists everything wrong: `E_PARAMETER_UNKNOWN`, `E_PARAMETER_TYPE` or `E_PARAMETER_MISSING`.
 */
export function coerceParameters(
  parameters: readonly ParameterDescription[],
  given: Readonly<Record<string, unknown>>,
  source: 'text' | 'value',
): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  const problems: { code: string; what: string; fix: string }[] = []
  const write = (name: string) => (source === 'text' ? `--${flagOf(name)}` : name)
  for (const [name, value] of Object.entries(given)) {
    const found = parameters.find((one) => one.name === name || (source === 'text' && flagOf(one.name) === name))
    if (!found) {
      problems.push({
        code: 'E_PARAMETER_UNKNOWN',
        what: `there is no parameter ${source === 'text' ? `--${name}` : `'${name}'`}`,
        fix: unknownFix(name, parameters, write),
      })
      continue
    }
    if (value === undefined) continue
    const read = source === 'text' ? fromText(found, value) : fromValue(found, value)
    if ('problem' in read)
      problems.push({
        code: 'E_PARAMETER_TYPE',
        what: `${write(found.name)} ${read.problem}`,
        fix: `give ${kindOf(found)}`,
      })
    else values[found.name] = read.value
  }
  for (const one of parameters) {
    if (one.name in values) continue
    if (one.default !== undefined)
      values[one.name] = one.kind === 'file' ? { path: one.default, base: 'flow' } : one.default
    else if (one.required && !problems.some(({ what }) => what.startsWith(`${write(one.name)} `)))
      problems.push({
        code: 'E_PARAMETER_MISSING',
        what: `${write(one.name)} is required${one.help ? ` (${one.help})` : ''}`,
        fix:
          source === 'text'
            ? `add ${write(one.name)} ${kindOf(one)}`
            : `give parameters: { ${one.name}: … }, ${kindOf(one)}`,
      })
  }
  const [first] = problems
  if (!first) return values
  throw new GangflowError({
    code: first.code,
    what: problems.map(({ what }) => what).join('; '),
    fix: [...new Set(problems.map(({ fix }) => fix))].join('; '),
    details: { problems },
  })
}

type Read = { readonly value: unknown } | { readonly problem: string }

function fromText(one: ParameterDescription, value: unknown): Read {
  if (one.kind === 'boolean' && typeof value === 'boolean') return { value }
  if (typeof value !== 'string') return { problem: value === true ? 'was given without a value' : `is ${show(value)}` }
  switch (one.kind) {
    case 'string':
      return { value }
    case 'number': {
      const number = value.trim() === '' ? Number.NaN : Number(value)
      return Number.isFinite(number) ? { value: number } : { problem: `is '${value}', which is no number` }
    }
    case 'boolean':
      return value === 'true' || value === 'false' ? { value: value === 'true' } : { problem: `is '${value}'` }
    case 'enum':
      return one.choices?.includes(value) ? { value } : { problem: `is '${value}'` }
    case 'json':
      try {
        return { value: JSON.parse(value) as unknown }
      } catch (error) {
        return { problem: `is no JSON (${(error as Error).message})` }
      }
    case 'file':
      return value === '' ? { problem: 'is empty' } : { value: { path: value, base: 'cwd' } }
  }
}

function fromValue(one: ParameterDescription, value: unknown): Read {
  const no: Read = { problem: `is ${show(value)}` }
  switch (one.kind) {
    case 'string':
    case 'boolean':
      return typeof value === one.kind ? { value } : no
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? { value } : no
    case 'enum':
      return typeof value === 'string' && one.choices?.includes(value) ? { value } : no
    case 'file':
      if (value instanceof Uint8Array) return { value }
      return typeof value === 'string' && value !== '' ? { value: { path: value, base: 'cwd' } } : no
    case 'json':
      return isJson(value)
        ? { value }
        : {
            problem:
              'is no JSON: it holds something other than null, booleans, finite numbers, strings, lists and plain objects',
          }
  }
}

function isJson(value: unknown, above: readonly unknown[] = []): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || above.includes(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return false
  return Object.values(value).every((inner) => inner === undefined || isJson(inner, [...above, value]))
}

/** What a parameter takes, in words. */
export function kindOf({ kind, choices, encoding }: ParameterDescription): string {
  switch (kind) {
    case 'enum':
      return `one of: ${choices?.join(', ')}`
    case 'json':
      return 'JSON'
    case 'file':
      return encoding ? "a text file's path" : "a file's path"
    case 'boolean':
      return 'true or false'
    default:
      return `a ${kind}`
  }
}

function unknownFix(
  name: string,
  parameters: readonly ParameterDescription[],
  write: (name: string) => string,
): string {
  if (parameters.length === 0) return 'this flow has no parameters'
  const near = nearest(
    name,
    parameters.flatMap((one) => [one.name, flagOf(one.name)]),
  )
  const meant = parameters.find((one) => one.name === near || flagOf(one.name) === near)
  return `${meant ? `did you mean ${write(meant.name)}? ` : ''}valid parameters: ${parameters.map((one) => write(one.name)).join(', ')}`
}

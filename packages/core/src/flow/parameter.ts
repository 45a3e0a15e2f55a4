import { GangflowError } from '../errors/base.js'
import { show } from '../errors/show.js'
import type { ParameterKind } from './description.js'

/** What every parameter may say of itself. */
export interface ParameterOptions<T> {
  /** The value when none is given. */
  readonly default?: T
  /** One line for `--help`. */
  readonly help?: string
  /** True: a run without a value is refused. Default: true when there is no default, else false. */
  readonly required?: boolean
}

/** A parameter as declared in a field, before a run gives it a value. */
export interface ParameterSpec extends ParameterOptions<unknown> {
  readonly kind: ParameterKind
  readonly choices?: readonly string[]
  readonly encoding?: 'utf8'
}

const specKey = Symbol.for('@gangflow/core.parameter')

/** What a field holds when it is a parameter's declaration, else undefined. */
export function parameterSpec(value: unknown): ParameterSpec | undefined {
  return typeof value === 'object' && value !== null ? (value as { [specKey]?: ParameterSpec })[specKey] : undefined
}

type Optional = { readonly required: false; readonly default?: undefined }

/**
 * Declares a parameter as a field's initializer: `readonly lr = parameter.number({ default: 0.1, help: '…' })`.
 * In a step the field holds the run's value. On the command line it is a flag: `--lr 0.2`.
 */
export const parameter = {
  string: declare<string>('string'),
  /** A finite number. */
  number: declare<number>('number'),
  /** `--flag`, `--no-flag`, `--flag true`. */
  boolean: declare<boolean>('boolean'),
  /** One of the given texts. */
  enum<const C extends readonly [string, ...string[]]>(
    choices: C,
    options: ParameterOptions<NoInfer<C[number]>> = {},
  ): C[number] {
    if (!Array.isArray(choices) || choices.length === 0 || choices.some((choice) => typeof choice !== 'string'))
      throw badDeclaration('enum', "needs a list of texts, such as parameter.enum(['sgd', 'adam'])")
    if (options.default !== undefined && !choices.includes(options.default))
      throw badDeclaration('enum', `has the default '${options.default}', which is none of ${choices.join(', ')}`)
    return placeholder({ ...checked('enum', options), kind: 'enum', choices: [...choices] }) as unknown as C[number]
  },
  /** Anything that JSON can say; frozen in the steps. */
  json<T = unknown>(options: ParameterOptions<T> = {}): T {
    return placeholder({ ...checked('json', options), kind: 'json' }) as T
  },
  file,
} as const

/** The content of a file, read when the run starts and kept with it; a default is a path beside the flow. */
function file(options: ParameterOptions<string> & { readonly encoding: 'utf8' }): string
function file(options?: ParameterOptions<string> & { readonly encoding?: undefined }): Uint8Array
function file(
  options: ParameterOptions<string> & { readonly encoding?: 'utf8' | undefined } = {},
): string | Uint8Array {
  const { encoding, ...rest } = options
  return placeholder({ ...checked('file', rest), kind: 'file', ...(encoding && { encoding }) }) as unknown as string
}

interface Declare<T> {
  (options: ParameterOptions<T> & Optional): T | undefined
  (options?: ParameterOptions<T>): T
}

function declare<T>(kind: 'string' | 'number' | 'boolean'): Declare<T> {
  return ((options: ParameterOptions<T> = {}) => {
    const given = options.default
    if (given !== undefined && (typeof given !== kind || Number.isNaN(given)))
      throw badDeclaration(kind, `has the default ${show(given)}, which is no ${kind}`)
    return placeholder({ ...checked(kind, options), kind }) as T
  }) as Declare<T>
}

const names = ['default', 'help', 'required']

function checked(kind: string, options: ParameterOptions<unknown>): ParameterOptions<unknown> {
  if (typeof options !== 'object' || options === null)
    throw badDeclaration(kind, 'takes an object of options, such as { default: …, help: … }')
  const unknown = Object.keys(options).filter((name) => !names.includes(name))
  if (unknown.length > 0)
    throw badDeclaration(kind, `has no option ${unknown.join(', ')}; valid are: ${names.join(', ')}`)
  return options
}

function badDeclaration(kind: string, problem: string): GangflowError {
  return new GangflowError({
    code: 'E_PARAMETER_DECLARATION',
    what: `parameter.${kind} ${problem}`,
    fix: 'change its declaration',
  })
}

/** Stands in the field until the run's value does. Whoever reads it earlier gets a named error instead of NaN. */
function placeholder(spec: ParameterSpec): object {
  const read = (): never => {
    throw new GangflowError({
      code: 'E_PARAMETER_EARLY',
      what: `a parameter (${spec.kind}${spec.help ? `: ${spec.help}` : ''}) was read while the flow's fields are made, before it has its value`,
      fix: 'compute what depends on a parameter in a step, or in a getter',
    })
  }
  return new Proxy(
    {},
    {
      get: (_, name) =>
        name === specKey
          ? spec
          : typeof name === 'string' || name === Symbol.toPrimitive || name === Symbol.iterator
            ? read()
            : undefined,
      set: read,
      deleteProperty: read,
    },
  )
}

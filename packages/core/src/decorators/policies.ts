import { type Duration, milliseconds } from '../errors/duration.js'
import { show } from '../errors/show.js'
import type { GangOptions, Resources } from '../flow/description.js'
import { type GangTimeoutOptions, gangTimeouts } from './gang-timeouts.js'
import { badOption, checkOptions, positive, wholeNumber } from './options.js'
import { type StepDecorator, stepDecorator } from './protocol.js'

/** Options of `@retry`. */
export interface RetryOptions {
  /** Further attempts after the first, whatever the cause but a cancel. Default 3. */
  readonly times?: number
  /** Further attempts when the step's own code failed, counted apart from `times`; 0: never. */
  readonly user?: number
  /** Likewise when a host, a process or a service was lost. */
  readonly infrastructure?: number
  /** Likewise when `@timeout`, a phase or the watchdog ended it. */
  readonly timeout?: number
  /** Likewise when whoever owns the machine asked it to leave (SIGTERM from outside, a scheduler). */
  readonly preempted?: number
  /** Wait before the second attempt. Default 1 s. */
  readonly delay?: Duration
  /** Factor by which the wait grows from attempt to attempt. Default 2. */
  readonly backoff?: number
}

const retriedCauses = ['user', 'infrastructure', 'timeout', 'preempted'] as const

/** Runs the step again when it fails: `@retry({ times: 3 })`, `@retry({ times: 1, infrastructure: 5, preempted: 10, user: 0 })`. */
export function retry(options?: RetryOptions): StepDecorator
export function retry(...given: readonly unknown[]): StepDecorator {
  const {
    times = 3,
    delay = '1s',
    backoff = 2,
    ...own
  } = checkOptions<RetryOptions>('@retry', given, ['times', ...retriedCauses, 'delay', 'backoff'])
  const budgets = Object.fromEntries(
    retriedCauses.flatMap((cause) => {
      const value = own[cause]
      return value === undefined ? [] : [[cause, wholeNumber('@retry', cause, value, 0)] as const]
    }),
  )
  const policy = {
    times: wholeNumber('@retry', 'times', times, 0),
    delayMs: milliseconds(delay),
    backoff: positive('@retry', 'backoff', backoff),
    ...(Object.keys(budgets).length > 0 && { budgets }),
  }
  return stepDecorator('@retry', () => ({ kind: 'retry', policy }))
}

/** Options of `@catchError`. */
export interface CatchErrorOptions {
  /** Artifact that receives the error (`undefined` when there was none). */
  readonly artifact?: string
}

/** When the step still fails after its retries, the run goes on; the error is kept in `artifact`. */
export function catchError(options?: CatchErrorOptions): StepDecorator
export function catchError(...given: readonly unknown[]): StepDecorator {
  const { artifact } = checkOptions<CatchErrorOptions>('@catchError', given, ['artifact'])
  if (artifact !== undefined && (typeof artifact !== 'string' || artifact === ''))
    throw badOption('@catchError', `needs artifact to be the name of a field, not ${show(artifact)}`)
  return stepDecorator('@catchError', () => ({ kind: 'catchError', ...(artifact !== undefined && { artifact }) }))
}

/** Limits one attempt of the step, its set-up included and its time in a queue not: `@timeout('30m')`. */
export function timeout(limit: Duration): StepDecorator
export function timeout(...given: readonly unknown[]): StepDecorator {
  if (given.length > 1 || typeof given[0] === 'function') checkOptions('@timeout', [() => undefined], [])
  const ms = milliseconds(given[0] as Duration)
  if (ms <= 0) throw badOption('@timeout', 'needs a length of time above 0')
  return stepDecorator('@timeout', () => ({ kind: 'timeout', ms }))
}

/** What each task of the step (each member of a gang) needs: CPUs, GPUs, and memory in MiB. */
export function resources(options: Resources): StepDecorator
export function resources(...given: readonly unknown[]): StepDecorator {
  const asked = checkOptions<Resources>('@resources', given, ['cpu', 'gpu', 'memory'])
  const checked: { -readonly [K in keyof Resources]: Resources[K] } = {}
  if (asked.cpu !== undefined) checked.cpu = positive('@resources', 'cpu', asked.cpu)
  if (asked.gpu !== undefined) checked.gpu = wholeNumber('@resources', 'gpu', asked.gpu, 0)
  if (asked.memory !== undefined) checked.memory = positive('@resources', 'memory (MiB)', asked.memory)
  return stepDecorator('@resources', () => ({ kind: 'resources', resources: checked }))
}

/** Options of `@environment`. */
export interface EnvironmentOptions {
  readonly vars: Readonly<Record<string, string>>
}

/** Variables in the environment of the step's processes, there from their start. */
export function environment(options: EnvironmentOptions): StepDecorator
export function environment(...given: readonly unknown[]): StepDecorator {
  const { vars } = checkOptions<EnvironmentOptions>('@environment', given, ['vars'])
  if (typeof vars !== 'object' || vars === null || Array.isArray(vars))
    throw badOption('@environment', `needs vars to be an object of strings, not ${show(vars)}`)
  for (const [name, value] of Object.entries(vars)) {
    if (name === '' || /[=\0]/.test(name)) throw badOption('@environment', `cannot set a variable named '${name}'`)
    if (typeof value !== 'string' || value.includes('\0'))
      throw badOption('@environment', `needs ${name} to be a string, not ${show(value)}`)
  }
  return stepDecorator('@environment', () => ({ kind: 'environment', vars: { ...vars } }))
}

/** Options of `@parallel`. */
export interface ParallelOptions extends Pick<GangOptions, 'minNodes' | 'maxRestarts'> {
  /** How long this step's gang waits for what; over those of the configuration. */
  readonly timeouts?: GangTimeoutOptions
}

/** Makes a gang step: all its members run it at once. `numParallel` of the transition that leads here gives their number. */
export function parallel(options?: ParallelOptions): StepDecorator
export function parallel(...given: readonly unknown[]): StepDecorator {
  const { minNodes, maxRestarts, timeouts } = checkOptions<ParallelOptions>('@parallel', given, [
    'minNodes',
    'maxRestarts',
    'timeouts',
  ])
  const checked: GangOptions = {
    ...(minNodes !== undefined && { minNodes: wholeNumber('@parallel', 'minNodes', minNodes, 1) }),
    ...(maxRestarts !== undefined && { maxRestarts: wholeNumber('@parallel', 'maxRestarts', maxRestarts, 0) }),
    ...(timeouts !== undefined && { timeouts: gangTimeouts('@parallel', timeouts) }),
  }
  return stepDecorator('@parallel', () => ({ kind: 'parallel', options: checked }))
}

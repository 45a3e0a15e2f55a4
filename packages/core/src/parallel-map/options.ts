import { GangflowError } from '../errors/base.js'
import { availableCpus } from '../errors/cpus.js'
import { milliseconds } from '../errors/duration.js'
import type { IterOptions, PoolOptions } from './contract.js'
import { mostLanes } from './protocol.js'

const poolNames = ['workers', 'isolation', 'init', 'heap', 'maxMemory'] as const
const mapNames = [
  ...['concurrency', 'batch', 'timeout', 'signal', 'onError', 'progress', 'label', 'serial', 'nested'],
  ...['moveResults', 'ahead'],
] as const

/** More than this is a mistake in unit or thought. */
const mostWorkers = 1024

export interface PoolSettings {
  readonly workers: number
  readonly isolation: 'thread' | 'process'
  readonly heap: number | undefined
  /** Bytes. */
  readonly maxMemory: number | undefined
}

export interface MapSettings {
  readonly concurrency: number
  readonly batch: number | undefined
  /** Milliseconds. */
  readonly timeout: number | undefined
  readonly ahead: number | undefined
  readonly collect: boolean
  readonly moveResults: boolean
}

/** Refuses options that are not there, with those that are. */
export function checkNames(options: object, whose: 'map' | 'pool' | 'both'): void {
  if (typeof options !== 'object' || options === null) wrong('the argument with the options', options, 'an object')
  const valid: readonly string[] = [...(whose === 'map' ? [] : poolNames), ...(whose === 'pool' ? [] : mapNames)]
  for (const key of Object.keys(options)) {
    if (valid.includes(key)) continue
    const known: readonly string[] = [...poolNames, ...mapNames]
    throw new GangflowError({
      code: 'E_MAP_OPTION',
      what: `there is no option '${key}' here`,
      fix: known.includes(key)
        ? `give it to ${whose === 'map' ? 'the pool' : 'the map'}; valid here are ${valid.join(', ')}`
        : `valid are ${valid.join(', ')}`,
    })
  }
}

/** The pool's options with their defaults; throws `E_MAP_OPTION`. */
export function poolSettings(options: PoolOptions): PoolSettings {
  const { workers, isolation = 'thread', heap, maxMemory, init } = options
  if (isolation !== 'thread' && isolation !== 'process') wrong('isolation', isolation, "'thread' or 'process'")
  if (init !== undefined && typeof init !== 'function') wrong('init', init, 'a function')
  whole('workers', workers, 1, mostWorkers)
  positive('heap', heap)
  positive('maxMemory', maxMemory)
  return {
    workers: workers ?? availableCpus(),
    isolation,
    heap,
    maxMemory: maxMemory === undefined ? undefined : maxMemory * 2 ** 20,
  }
}

/** A map's options with their defaults; throws `E_MAP_OPTION`. */
export function mapSettings(options: IterOptions): MapSettings {
  const { concurrency = 1, batch, timeout, ahead, onError = 'stop', moveResults = false } = options
  whole('concurrency', concurrency, 1, mostLanes)
  whole('batch', batch, 1, 1 << 20)
  whole('ahead', ahead, 1, Number.MAX_SAFE_INTEGER)
  if (onError !== 'stop' && onError !== 'collect') wrong('onError', onError, "'stop' or 'collect'")
  for (const name of ['serial', 'nested', 'moveResults'] as const)
    if (options[name] !== undefined && typeof options[name] !== 'boolean') wrong(name, options[name], 'true or false')
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal))
    wrong('signal', options.signal, 'an AbortSignal')
  if (options.label !== undefined && typeof options.label !== 'string') wrong('label', options.label, 'a text')
  const { progress } = options
  if (progress !== undefined && typeof progress !== 'boolean' && typeof progress !== 'function')
    wrong('progress', progress, 'true, false or a function')
  return {
    concurrency,
    batch,
    timeout: timeout === undefined ? undefined : milliseconds(timeout),
    ahead,
    collect: onError === 'collect',
    moveResults,
  }
}

function whole(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined) return
  if (!Number.isSafeInteger(value) || value < least || value > most)
    wrong(
      name,
      value,
      `a whole number of at least ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${most}`}`,
    )
}

function positive(name: string, value: number | undefined): void {
  if (value !== undefined && !(typeof value === 'number' && value > 0 && Number.isFinite(value)))
    wrong(name, value, 'a number of megabytes above 0')
}

function wrong(name: string, value: unknown, right: string): never {
  const shown = typeof value === 'string' ? `'${value}'` : String(value)
  throw new GangflowError({ code: 'E_MAP_OPTION', what: `${name} is ${shown}`, fix: `${name} is ${right}` })
}

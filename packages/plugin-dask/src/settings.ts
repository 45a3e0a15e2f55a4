import { duration, interpreter, onlyKnown, wrong } from './checks.js'
import type { DaskOptions, DaskRunOptions } from './options.js'

export const decoratorNames: readonly (keyof DaskOptions)[] = [
  'threads',
  'memoryLimit',
  'localDirectory',
  'dashboard',
  'startTimeout',
  'silence',
  'python',
]
const runNames: readonly (keyof DaskRunOptions)[] = ['entrypoint', 'args', 'env', 'cwd', 'timeout', 'check']

/** Throws `E_DASK_OPTION` unless these may stand in `@dask(…)`. Pure. */
export function checkOptions(options: DaskOptions): void {
  const where = '@dask'
  onlyKnown(where, options, decoratorNames)
  const { threads, memoryLimit, localDirectory, dashboard, python } = options
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1))
    throw wrong(where, 'threads', threads, 'a whole number from 1')
  const isSize =
    typeof memoryLimit === 'number' ? memoryLimit > 0 : /^(?:auto|[\d.]+ ?[kMGT]?i?B?)$/.test(memoryLimit ?? 'auto')
  if (!isSize) throw wrong(where, 'memoryLimit', memoryLimit, "'auto', such as '2GB', or bytes")
  if (localDirectory !== undefined && (typeof localDirectory !== 'string' || !localDirectory.startsWith('/')))
    throw wrong(where, 'localDirectory', localDirectory, 'the absolute path of a folder that every member has')
  if (dashboard !== undefined && typeof dashboard !== 'boolean')
    throw wrong(where, 'dashboard', dashboard, 'true or false')
  interpreter(where, 'python', python)
  duration(where, 'startTimeout', options.startTimeout)
  duration(where, 'silence', options.silence)
}

/** A call, checked. Pure; throws `E_DASK_OPTION`. */
export function settle(call: DaskRunOptions): { words: readonly string[]; timeoutMs: number | undefined } {
  const where = 'current.dask.run'
  onlyKnown(where, call, runNames)
  const { entrypoint, args = [], env = {}, cwd, check } = call
  if (typeof entrypoint !== 'string' || entrypoint === '' || entrypoint.includes('\0'))
    throw wrong(where, 'entrypoint', entrypoint, 'the path of a Python script')
  if (!Array.isArray(args)) throw wrong(where, 'args', args, 'a list of strings')
  for (const [index, value] of args.entries())
    if (typeof value !== 'string' && !(typeof value === 'number' && Number.isFinite(value)))
      throw wrong(where, `args[${index}]`, value, 'a string')
  if (typeof env !== 'object' || env === null) throw wrong(where, 'env', env, 'variables with strings')
  for (const [name, value] of Object.entries(env))
    if (name === '' || /[=\0]/.test(name) || typeof value !== 'string' || value.includes('\0'))
      throw wrong(where, `env.${name}`, value, 'variables with strings')
  if (cwd !== undefined && (typeof cwd !== 'string' || /\0|^$/.test(cwd))) throw wrong(where, 'cwd', cwd, 'a path')
  if (check !== undefined && typeof check !== 'boolean') throw wrong(where, 'check', check, 'true or false')
  return { words: [entrypoint, ...args.map(String)], timeoutMs: duration(where, 'timeout', call.timeout) }
}

import { duration, interpreter, onlyKnown, wrong } from './checks.js'
import type { RayExecOptions, RayOptions, RayRunOptions, RaySubmitOptions } from './options.js'

export const decoratorNames: readonly (keyof RayOptions)[] = [
  'port',
  'dashboard',
  'resources',
  'cpus',
  'startTimeout',
  'silence',
  'workerLogs',
  'objectStoreMemory',
  'storagePath',
  'python',
]
const execNames: readonly (keyof RayExecOptions)[] = ['env', 'cwd', 'timeout', 'check']
const runNames: readonly (keyof RayRunOptions)[] = ['entrypoint', 'args', 'runtimeEnv', ...execNames]
const submitNames: readonly (keyof RaySubmitOptions)[] = [
  'entrypoint',
  'runtimeEnv',
  'submissionId',
  'metadata',
  'timeout',
  'check',
]

/** Fields of Ray's RuntimeEnv, python/ray/runtime_env/runtime_env.py. */
const runtimeEnvNames = [
  ...['working_dir', 'py_modules', 'excludes', 'py_executable', 'pip', 'uv', 'conda', 'env_vars', 'config'],
  ...['worker_process_setup_hook', 'container', 'image_uri', 'java_jars', 'nsight', 'rocprof_sys'],
]

/** What a driver is, checked. */
export interface DriverSettings {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
  readonly timeoutMs: number | undefined
  readonly check: boolean
}

/** Throws `E_RAY_OPTION` unless these may stand in `@ray(…)`. Pure. */
export function checkOptions(options: RayOptions): void {
  const where = '@ray'
  onlyKnown(where, options, decoratorNames)
  const { port, dashboard, workerLogs, resources, cpus, objectStoreMemory, storagePath, python } = options
  if (port !== undefined && !(Number.isInteger(port) && port >= 1024 && port <= 65_535))
    throw wrong(where, 'port', port, 'a port from 1024 to 65535')
  for (const [name, value] of Object.entries({ dashboard, workerLogs }))
    if (value !== undefined && typeof value !== 'boolean') throw wrong(where, name, value, 'true or false')
  if (resources !== undefined) checkResources(where, resources)
  if (cpus !== undefined && !(Number.isInteger(cpus) && cpus >= 0))
    throw wrong(where, 'cpus', cpus, 'a whole number from 0')
  if (objectStoreMemory !== undefined && !(Number.isInteger(objectStoreMemory) && objectStoreMemory >= 78_643_200))
    throw wrong(where, 'objectStoreMemory', objectStoreMemory, 'bytes, at least 78643200 (75 MiB): Ray takes no less')
  if (storagePath !== undefined && (typeof storagePath !== 'string' || storagePath === ''))
    throw wrong(where, 'storagePath', storagePath, 'a folder that all nodes share, or a URI')
  interpreter(where, 'python', python)
  duration(where, 'startTimeout', options.startTimeout)
  duration(where, 'silence', options.silence)
}

/** Pure. */
export function settleRun(call: RayRunOptions): DriverSettings & { readonly words: readonly string[] } {
  const where = 'current.ray.run'
  onlyKnown(where, call, runNames)
  if (typeof call.entrypoint !== 'string' || call.entrypoint === '' || call.entrypoint.includes('\0'))
    throw wrong(where, 'entrypoint', call.entrypoint, 'the path of a Python script')
  checkRuntimeEnv(where, call.runtimeEnv)
  return { ...settleDriver(where, call), words: [call.entrypoint, ...wordsOf(where, 'args', call.args ?? [])] }
}

/** Pure. */
export function settleExec(
  command: unknown,
  call: RayExecOptions,
): DriverSettings & { readonly words: readonly string[] } {
  const where = 'current.ray.exec'
  onlyKnown(where, call, execNames)
  const words = wordsOf(where, 'command', command)
  if (!words[0])
    throw wrong(where, 'command', command, "a list of strings that begins with a program, such as ['ray', 'status']")
  return { ...settleDriver(where, call), words }
}

/** Pure. */
export function settleSubmit(call: RaySubmitOptions): RaySubmitOptions & { readonly timeoutMs: number | undefined } {
  const where = 'current.ray.submit'
  onlyKnown(where, call, submitNames)
  if (typeof call.entrypoint !== 'string' || call.entrypoint.trim() === '')
    throw wrong(where, 'entrypoint', call.entrypoint, "a shell command, such as 'python train.py'")
  checkRuntimeEnv(where, call.runtimeEnv)
  if (call.submissionId !== undefined && !/^[\w-]{1,100}$/.test(call.submissionId))
    throw wrong(where, 'submissionId', call.submissionId, 'letters, digits, _ and -')
  return { ...call, timeoutMs: duration(where, 'timeout', call.timeout) }
}

function settleDriver(where: string, call: RayExecOptions): DriverSettings {
  const { env = {}, cwd, timeout, check = true } = call
  if (typeof env !== 'object' || env === null) throw wrong(where, 'env', env, 'variables with strings')
  for (const [name, value] of Object.entries(env))
    if (name === '' || /[=\0]/.test(name) || typeof value !== 'string' || value.includes('\0'))
      throw wrong(where, `env.${name}`, value, 'variables with strings')
  if (cwd !== undefined && (typeof cwd !== 'string' || /\0|^$/.test(cwd))) throw wrong(where, 'cwd', cwd, 'a path')
  if (typeof check !== 'boolean') throw wrong(where, 'check', check, 'true or false')
  return { env, cwd, timeoutMs: duration(where, 'timeout', timeout), check }
}

function checkResources(where: string, resources: unknown): void {
  if (typeof resources !== 'object' || resources === null)
    throw wrong(where, 'resources', resources, '{ name: amount }')
  for (const [name, value] of Object.entries(resources)) {
    if (/^(?:CPU|GPU|memory|object_store_memory|node:.*|gang_node_\d+)$/.test(name) || name === '')
      throw wrong(where, `resources.${name}`, value, 'names of your own: CPUs are `cpus`, GPUs are what the gang gave')
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      throw wrong(where, `resources.${name}`, value, 'a number from 0')
  }
}

function checkRuntimeEnv(where: string, given: unknown): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw wrong(where, 'runtimeEnv', given, "an object, such as { env_vars: { A: '1' } }")
  // Ray says nothing of a name that it does not know; those of a plugin for it are its own.
  if (process.env['RAY_RUNTIME_ENV_PLUGINS'] === undefined) {
    const unknown = Object.keys(given).find((name) => !name.startsWith('_') && !runtimeEnvNames.includes(name))
    if (unknown !== undefined)
      throw wrong(where, `runtimeEnv.${unknown}`, given[unknown as never], `one of ${runtimeEnvNames.join(', ')}`)
  }
  for (const [name, value] of Object.entries((given as { env_vars?: object }).env_vars ?? {}))
    if (typeof value !== 'string') throw wrong(where, `runtimeEnv.env_vars.${name}`, value, 'a string')
}

function wordsOf(where: string, name: string, given: unknown): string[] {
  if (!Array.isArray(given)) throw wrong(where, name, given, 'a list of strings')
  return given.map((value: unknown, index) => {
    const isNumber = typeof value === 'number' && Number.isFinite(value)
    if (!isNumber && (typeof value !== 'string' || value.includes('\0')))
      throw wrong(where, `${name}[${index}]`, value, 'a string')
    return String(value)
  })
}

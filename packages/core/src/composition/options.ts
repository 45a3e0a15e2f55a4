import { bytesFrom } from '../compile/package/size-limit.js'
import { GangflowError } from '../errors/base.js'
import { type Duration, milliseconds } from '../errors/duration.js'
import type { RunOptions } from '../runtime/contract.js'

/** What `gangflow.config.ts` may export as its default. Flags come first, then `GANGFLOW_*`, then this. */
export type GangflowConfig = Pick<
  RunOptions,
  'backend' | 'backendOptions' | 'datastore' | 'tags' | 'maxWorkers' | 'env' | 'timeout' | 'package' | 'gangTimeouts'
>

type Kind = 'text' | 'table' | 'texts' | 'count' | 'duration' | 'textTable' | 'package'

const kinds: Readonly<Record<keyof GangflowConfig, Kind>> = {
  backend: 'text',
  backendOptions: 'table',
  datastore: 'text',
  tags: 'texts',
  maxWorkers: 'count',
  env: 'textTable',
  timeout: 'duration',
  package: 'package',
  gangTimeouts: 'table',
}
const variables: Readonly<Record<string, keyof GangflowConfig>> = {
  GANGFLOW_BACKEND: 'backend',
  GANGFLOW_BACKEND_OPTIONS: 'backendOptions',
  GANGFLOW_DATASTORE: 'datastore',
  GANGFLOW_TAGS: 'tags',
  GANGFLOW_MAX_WORKERS: 'maxWorkers',
  GANGFLOW_TIMEOUT: 'timeout',
  GANGFLOW_GANG_TIMEOUTS: 'gangTimeouts',
}

/** One source of options over the next: given ones (flags), the environment, the config file. Throws `E_OPTION`. */
export function mergeOptions<O extends RunOptions>(
  given: O,
  env: NodeJS.ProcessEnv,
  config: { readonly path: string; readonly content: unknown } | undefined,
): O {
  const own = checked(given as Record<string, unknown>, 'option', false)
  const fromEnv = checked(readVariables(env), 'environment', true)
  const fromFile = config ? checked(tableOf(config), config.path, true) : {}
  const merged = { ...fromFile, ...fromEnv, ...own } as O
  const vars = { ...fromFile.env, ...given.env }
  const backend = { ...fromFile.backendOptions, ...fromEnv.backendOptions, ...given.backendOptions }
  return { ...merged, env: vars, backendOptions: backend }
}

function readVariables(env: NodeJS.ProcessEnv): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [variable, name] of Object.entries(variables)) {
    const text = env[variable]
    if (text === undefined || text === '') continue
    values[name] = parsed(variable, text, kinds[name])
  }
  return values
}

function parsed(variable: string, text: string, kind: Kind): unknown {
  if (kind === 'count') return Number(text)
  if (kind === 'texts') return text.split(',').map((word) => word.trim())
  if (kind === 'duration') return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text
  if (kind === 'text') return text
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw refuse(variable, 'is no JSON', 'write a JSON object', cause)
  }
}

function tableOf({ path, content }: { path: string; content: unknown }): Record<string, unknown> {
  if (isTable(content)) return content
  throw refuse(path, 'exports no table of options', 'write: export default { maxWorkers: 4 }')
}

/** Drops what is undefined and refuses what is ill-typed; `strict` also refuses what is unknown. */
function checked(values: Record<string, unknown>, source: string, strict: boolean): GangflowConfig {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const kind = kinds[name as keyof GangflowConfig] as Kind | undefined
    if (kind === undefined) {
      if (strict) throw refuse(source, `has an unknown option '${name}'`, `known are ${Object.keys(kinds).join(', ')}`)
    } else checkKind(source, name, value, kind)
    result[name] = value
  }
  return result
}

function checkKind(source: string, name: string, value: unknown, kind: Kind): void {
  const tests: Readonly<Record<Kind, [boolean, string]>> = {
    text: [typeof value === 'string' && value !== '', 'text'],
    table: [isTable(value), 'a table'],
    texts: [isTexts(value), 'a list of texts'],
    count: [Number.isSafeInteger(value) && (value as number) >= 1, 'a whole number of at least 1'],
    textTable: [isTable(value) && Object.values(value).every((word) => typeof word === 'string'), 'a table of texts'],
    duration: [true, ''],
    package: [isPackage(value), '{ include: [patterns], exclude: [patterns], limit: size }'],
  }
  if (kind === 'duration') milliseconds(value as Duration)
  const [fits, wanted] = tests[kind]
  if (!fits) throw refuse(source, `has ${name}: ${JSON.stringify(value)}`, `${name} must be ${wanted}`)
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((word) => typeof word === 'string' && word !== '')

function isPackage(value: unknown): boolean {
  if (!isTable(value)) return false
  const { include = [], exclude = [], limit, ...unknown } = value
  if (limit !== undefined) bytesFrom(limit as string)
  return isTexts(include) && isTexts(exclude) && Object.keys(unknown).length === 0
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const refuse = (source: string, what: string, fix: string, cause?: unknown) =>
  new GangflowError({ code: 'E_OPTION', what: `${source} ${what}`, fix }, { cause })

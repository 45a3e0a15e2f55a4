import { once } from 'node:events'
import { resolve } from 'node:path'
import { GangflowError } from '../errors/base.js'
import { exitCodes } from '../errors/exit-codes.js'
import type { Engine, RunHandle, RunOptions, RunResult } from '../runtime/contract.js'
import type { Arguments } from './commands.js'
import { exitCodeOf } from './failure.js'
import { onInterrupt } from './interrupt.js'
import { parameterWords } from './parameters.js'
import { openView } from './view/index.js'

/** Flags that are options of the backend. */
const sshFlags = ['hosts', 'hostsFile', 'sshConfig', 'sshOption'] as const

type Start = (engine: Engine, file: string, options: RunOptions) => RunHandle

/** What `run` and `resume` share: options, the view, Ctrl-C, the exit code. */
export async function runCommand(args: Arguments, rest: readonly string[], start: Start): Promise<number> {
  const options = optionsOf(args, rest)
  return await followRun(args, (engine) => start(engine, resolve(String(args['flow'])), options))
}

/** Shows a run to its end, or until it is left to its jobs. */
export async function followRun(args: Arguments, start: (engine: Engine) => RunHandle): Promise<number> {
  const { launcher } = await import('../composition/launcher.js')
  // A script wants the run's name alone.
  const named = args['detach'] === true && args['json'] !== true
  const view = await openView(args, named ? process.stderr : process.stdout)
  const handle = start(launcher)
  const release = onInterrupt(handle, {
    detach: args['detachOnInterrupt'] === true,
    say: (text) => process.stderr.write(`${text}\n`),
  })
  handle.result.catch(() => {})
  try {
    for await (const event of handle.events) view.show(event)
    const result = await handle.result
    if (result.status !== 'detached' || args['detach'] !== true) return exitCodeOfRun(result)
    if (named) process.stdout.write(`${result.flow}/${result.run}\n`)
    return exitCodes.ok
  } finally {
    release()
    view.close()
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain')
  }
}

function exitCodeOfRun(result: RunResult): number {
  if (result.status === 'done') return exitCodes.ok
  if (result.status === 'cancelled') return exitCodes.cancelled
  if (result.status === 'detached') return exitCodes.detached
  if (result.status === 'taken-over') return exitCodes.takenOver
  return result.error === undefined ? exitCodes.user : Math.max(1, exitCodeOf(result.error))
}

function optionsOf(args: Arguments, rest: readonly string[]): RunOptions {
  const text = (name: string) => (typeof args[name] === 'string' ? (args[name] as string) : undefined)
  const list = (name: string) => (args[name] ?? []) as readonly string[]
  const [named, datastore, timeout, inspect] = ['backend', 'datastore', 'timeout', 'inspect'].map(text)
  const ofSsh = sshFlags.flatMap((name) => (args[name] === undefined ? [] : [[name, args[name]] as const]))
  const backendOptions = Object.fromEntries([...ofSsh, ...list('backendOption').map(backendOption)])
  // Whoever names hosts means them.
  const backend = named ?? (ofSsh.length > 0 ? 'ssh' : undefined)
  const maxWorkers = args['maxWorkers']
  if (maxWorkers !== undefined && !(Number.isInteger(maxWorkers) && (maxWorkers as number) >= 1)) {
    throw usage('--max-workers takes a whole number of at least 1')
  }
  return {
    parameters: parameterWords(rest, list('param')),
    parametersAs: 'text',
    tags: list('tag'),
    env: environment(list('env')),
    ...(backend !== undefined && { backend }),
    ...(Object.keys(backendOptions).length > 0 && { backendOptions }),
    ...(datastore !== undefined && { datastore }),
    ...(timeout !== undefined && { timeout }),
    ...(maxWorkers !== undefined && { maxWorkers: maxWorkers as number }),
    ...(inspect !== undefined && { inspect: inspected(inspect) }),
    ...(args['dryRun'] === true && { dryRun: true }),
    ...(args['detach'] === true && { detach: true }),
    ...(args['detachOnInterrupt'] === true && { detachable: true }),
  }
}

function environment(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
      const value = process.env[pair]
      if (value === undefined) throw usage(`--env ${pair}: there is no such variable here; give a value as ${pair}=…`)
      return [pair, value]
    }),
  )
}

export function backendOption(pair: string): readonly [string, string] {
  const at = pair.indexOf('=')
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
  throw usage(`--backend-option ${pair} is not NAME=VALUE`)
}

function inspected(text: string): { step: string; node?: number } {
  const match = /^([A-Za-z_$][\w$]*)(?:\/(\d+))?$/.exec(text)
  if (match === null) throw usage(`--inspect ${text} is not STEP or STEP/NODE`)
  return { step: match[1]!, ...(match[2] !== undefined && { node: Number(match[2]) }) }
}

const usage = (what: string): GangflowError =>
  new GangflowError({ code: 'E_USAGE', what, fix: 'gangflow run --help lists the options' })

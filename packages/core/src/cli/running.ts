import { once } from 'node:events'
import { resolve } from 'node:path'
import { GangflowError } from '../errors/base.js'
import { exitCodes } from '../errors/exit-codes.js'
import type { Engine, RunHandle, RunOptions, RunResult } from '../runtime/contract.js'
import type { Arguments } from './commands.js'
import { exitCodeOf } from './failure.js'
import { parameterWords } from './parameters.js'
import { openView } from './view/index.js'

/** Flags that are options of the backend. */
const sshFlags = ['hosts', 'hostsFile', 'sshConfig', 'sshOption'] as const

type Start = (engine: Engine, file: string, options: RunOptions) => RunHandle

/** What `run` and `resume` share: options, the view, Ctrl-C, the exit code. */
export async function runCommand(args: Arguments, rest: readonly string[], start: Start): Promise<number> {
  const options = optionsOf(args, rest)
  const { launcher } = await import('../composition/launcher.js')
  const view = await openView(args, process.stdout)
  const handle = start(launcher, resolve(String(args['flow'])), options)
  const release = onSignals(handle, (text) => process.stderr.write(`${text}\n`))
  handle.result.catch(() => {})
  try {
    for await (const event of handle.events) view.show(event)
    return exitCodeOfRun(await handle.result)
  } finally {
    release()
    view.close()
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain')
  }
}

function exitCodeOfRun(result: RunResult): number {
  if (result.status === 'done') return exitCodes.ok
  if (result.status === 'cancelled') return exitCodes.cancelled
  return result.error === undefined ? exitCodes.user : Math.max(1, exitCodeOf(result.error))
}

/** The first Ctrl-C (or TERM, HUP) cancels and says so, the second kills what runs, the third leaves at once. */
function onSignals(handle: RunHandle, say: (text: string) => void): () => void {
  let asked = 0
  const cancel = (signal: NodeJS.Signals) => {
    asked += 1
    if (asked > 2) process.exit(exitCodes.cancelled)
    if (asked === 2) {
      say('killing')
      return handle.cancel()
    }
    say(`${signal === 'SIGINT' ? 'Ctrl-C' : signal}: stopping; once more kills at once`)
    handle.cancel(signal === 'SIGINT' ? 'Ctrl-C' : signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, cancel)
  return () => {
    for (const signal of signals) process.off(signal, cancel)
  }
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

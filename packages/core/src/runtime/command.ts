import { shellWord } from '../errors/shell-word.js'
import { flagOf } from '../flow/describe-parameters.js'
import type { AttachOptions, ResumeOptions, RunOptions } from './contract.js'

/** The command line that does what `run()` or `resume()` was asked to, as a person would paste it into a shell. */
export function commandLine(
  verb: 'run' | 'resume',
  file: string,
  options: RunOptions & Pick<ResumeOptions, 'origin' | 'from'>,
): string {
  const words: string[] = ['gangflow', verb, file]
  const flag = (name: string, value: unknown) => {
    if (value === true) words.push(`--${name}`)
    else if (value === false) words.push(`--no-${name}`)
    else if (value !== undefined) words.push(`--${name}`, typeof value === 'string' ? value : JSON.stringify(value))
  }
  for (const [name, value] of Object.entries(options.parameters ?? {})) flag(flagOf(name), value)
  flag('origin', options.origin)
  flag('from', options.from)
  flag('backend', options.backend)
  for (const [name, value] of Object.entries(options.backendOptions ?? {})) flag(flagOf(name), value)
  flag('datastore', options.datastore)
  for (const tag of options.tags ?? []) flag('tag', tag)
  flag('max-workers', options.maxWorkers)
  for (const [name, value] of Object.entries(options.env ?? {})) flag('env', `${name}=${value}`)
  const { inspect } = options
  if (inspect) flag('inspect', inspect.node === undefined ? inspect.step : `${inspect.step}/${inspect.node}`)
  flag('timeout', options.timeout)
  if (options.dryRun) flag('dry-run', true)
  if (options.detach) flag('detach', true)
  return words.map(shellWord).join(' ')
}

/** The same of `attach()`. */
export const attachLine = (pathspec: string, { datastore, takeOver }: AttachOptions): string =>
  [
    ...['gangflow', 'attach', pathspec],
    ...(datastore === undefined ? [] : ['--datastore', datastore]),
    ...(takeOver ? ['--take-over'] : []),
  ]
    .map(shellWord)
    .join(' ')

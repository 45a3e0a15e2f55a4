import { duration, onlyKnown, wrong } from './checks.js'
import type { MpiOptions, MpiRunOptions } from './options.js'
import { programWords } from './program.js'

/** A call with the decorator's options behind it, checked and complete. */
export interface Settings {
  readonly launcher: 'mpirun' | 'mpiexec'
  /** Without `-n`. */
  readonly args: readonly string[]
  readonly program: readonly [string, ...string[]]
  /** Undefined: every slot. */
  readonly np: number | undefined
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
  readonly timeoutMs: number | undefined
  readonly stdin: Uint8Array | undefined
  readonly oversubscribe: boolean
  readonly output: 'together' | 'ranks'
}

export const decoratorNames: readonly (keyof MpiOptions)[] = ['body', 'home', 'oversubscribe', 'python']
const callNames: readonly (keyof MpiRunOptions)[] = [
  'args',
  'program',
  'programArgs',
  'np',
  'env',
  'cwd',
  'timeout',
  'stdin',
  'oversubscribe',
  'output',
]
/** How the implementations spell the number of ranks. */
const countFlags = new Set(['-n', '-np', '--n', '--np', '-c'])
/** And that they may be more than slots. */
const crowdFlags = new Set(['--oversubscribe', '-oversubscribe'])

/** Throws `E_MPI_OPTION` unless these may stand in `@mpi(…)`. Pure. */
export function checkOptions(options: MpiOptions): void {
  const where = '@mpi'
  onlyKnown(where, options, decoratorNames)
  const { body, home, oversubscribe, python } = options
  if (body !== undefined && body !== 'control' && body !== 'all') throw wrong(where, 'body', body, "'control' or 'all'")
  if (home !== undefined && (typeof home !== 'string' || !home.startsWith('/')))
    throw wrong(where, 'home', home, 'the absolute path of an installation, such as /opt/openmpi')
  if (oversubscribe !== undefined && typeof oversubscribe !== 'boolean')
    throw wrong(where, 'oversubscribe', oversubscribe, 'true or false')
  if (python !== undefined && (typeof python !== 'string' || python === ''))
    throw wrong(where, 'python', python, 'an interpreter')
}

/** A call completed by the decorator's options. Pure; throws `E_MPI_OPTION`. */
export function settle(options: MpiOptions, launcher: Settings['launcher'], call: MpiRunOptions): Settings {
  const where = launcher === 'mpirun' ? 'current.mpi.run' : 'current.mpi.exec'
  checkOptions(options)
  onlyKnown(where, call, callNames)
  const { args, np, crowds } = launcherWords(where, call)
  if (call.cwd !== undefined && (typeof call.cwd !== 'string' || /\0|^$/.test(call.cwd)))
    throw wrong(where, 'cwd', call.cwd, 'a path')
  if (call.oversubscribe !== undefined && typeof call.oversubscribe !== 'boolean')
    throw wrong(where, 'oversubscribe', call.oversubscribe, 'true or false')
  const output = call.output ?? 'together'
  if (output !== 'together' && output !== 'ranks') throw wrong(where, 'output', output, "'together' or 'ranks'")
  return {
    launcher,
    args,
    program: programOf(where, call),
    np,
    env: environment(where, call.env ?? {}),
    cwd: call.cwd,
    timeoutMs: duration(where, 'timeout', call.timeout),
    stdin: stdinOf(where, call.stdin),
    oversubscribe: call.oversubscribe ?? (crowds || (options.oversubscribe ?? false)),
    output,
  }
}

/** The launcher's own options; what they say of the number of ranks is taken out, for a plan decides it. */
function launcherWords(
  where: string,
  call: MpiRunOptions,
): { args: string[]; np: number | undefined; crowds: boolean } {
  const given = words(where, 'args', call.args)
  const args: string[] = []
  let np = call.np
  let crowds = false
  for (let at = 0; at < given.length; at++) {
    const word = given[at]!
    if (word === ':')
      throw wrong(
        where,
        'args',
        word,
        'one program; several at once (MPMD) belong into one script that asks for its rank',
      )
    if (crowdFlags.has(word)) crowds = true
    else if (!countFlags.has(word)) args.push(word)
    else {
      const count = Number(given[++at])
      if (np !== undefined && np !== count)
        throw wrong(where, `args ${word}`, given[at], `the same as np, ${np}, or none`)
      np = count
    }
  }
  if (np !== undefined && !(Number.isInteger(np) && np >= 1)) throw wrong(where, 'np', np, 'a whole number from 1')
  return { args, np, crowds }
}

function programOf(where: string, call: MpiRunOptions): [string, ...string[]] {
  const { program } = call
  const whole = typeof program === 'string' ? programWords(where, program) : words(where, 'program', program)
  const [first, ...rest] = [...whole, ...words(where, 'programArgs', call.programArgs)]
  if (whole.length === 0 || !first) throw wrong(where, 'program', program, "a program, such as 'python train.py'")
  return [first, ...rest]
}

function words(where: string, name: string, given: unknown): string[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw wrong(where, name, given, 'a list of strings')
  return given.map((value: unknown, index) => {
    const isNumber = typeof value === 'number' && Number.isFinite(value) && name !== 'program'
    if (!isNumber && (typeof value !== 'string' || value.includes('\0')))
      throw wrong(where, `${name}[${index}]`, value, 'a string')
    return String(value)
  })
}

function environment(where: string, env: Readonly<Record<string, string>>): Record<string, string> {
  if (typeof env !== 'object' || env === null) throw wrong(where, 'env', env, 'variables with strings')
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/.test(name) || typeof value !== 'string' || value.includes('\0'))
      throw wrong(where, `env.${name}`, value, 'variables with strings')
  }
  return { ...env }
}

function stdinOf(where: string, stdin: unknown): Uint8Array | undefined {
  if (stdin === undefined || stdin instanceof Uint8Array) return stdin
  if (typeof stdin === 'string') return new TextEncoder().encode(stdin)
  throw wrong(where, 'stdin', stdin, 'a string or bytes')
}

import { mkdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { type Duration, GangflowError } from '@gangflow/core'
import { onlyKnown, wrong } from './checks.js'
import { findCompiler, languageOf, languages } from './compiler.js'
import type { MpiCompileOptions, MpiCompileResult, MpiLanguage } from './options.js'
import { note } from './record.js'
import type { Session } from './session.js'

const where = 'current.mpi.cc'
const names: readonly (keyof MpiCompileOptions)[] = ['out', 'language', 'flags', 'timeout']
const TIMEOUT = '10m'
/** Lines of the compiler's that the error shows: the first ones say what is wrong. */
const SHOWN = 40

interface Order {
  readonly language: MpiLanguage
  /** After the compiler's name. */
  readonly args: readonly string[]
  /** Absolute; empty: the arguments say. */
  readonly out: string
  /** For the error. */
  readonly what: string
  readonly timeout: Duration
}

/** Compiles on this member, with the compiler's output shown as it comes. */
export async function compile(
  session: Session,
  source: string | readonly string[],
  options: MpiCompileOptions = {},
): Promise<MpiCompileResult> {
  const { gang } = session
  const { language, args, out, what, timeout } = orderOf(gang.flowDir, source, options)
  const found = await session.mpi()
  const compiler = findCompiler(found, language)
  if (out !== '') mkdirSync(dirname(out), { recursive: true })
  const argv = [compiler, ...args]
  const name = `${basename(compiler)}-${++session.calls}`
  // Intel's asks this for its own folders, unless its script of variables has been read.
  const env =
    found.implementation.vendor === 'Intel MPI' ? { I_MPI_ROOT: process.env['I_MPI_ROOT'] ?? dirname(found.bin) } : {}
  const command = { name, argv, cwd: gang.flowDir, env }
  await note(gang, `mpi-${name}`, { argv })
  const [end] = await gang.exec([gang.nodeIndex], command, { timeout })
  const { exitCode, signal, stdout, stderr, durationMs } = end!
  if (exitCode === 0) return { out, argv, stderr, durationMs }
  const said = `${stderr}${stdout}`.trim()
  const told = { step: gang.step, node: gang.nodeIndex, details: { exitCode, signal, argv, output: said } }
  const lacking = lackingIn(said, exitCode)
  if (lacking !== undefined)
    throw new GangflowError({
      code: 'E_MPI_COMPILER',
      what: `${compiler} calls the compiler ${lacking}, which is not on this machine`,
      fix: `install it on the control (Debian: apt-get install ${packages[language]}), or name another by ${variables(language)}`,
      ...told,
    })
  const lines = said.split('\n')
  const cut =
    lines.length > SHOWN ? [...lines.slice(0, SHOWN), `… ${lines.length - SHOWN} lines more in the log`] : lines
  throw new GangflowError({
    code: 'E_MPI_COMPILE',
    what: `${basename(compiler)} cannot compile ${what} (${signal ?? `exit code ${exitCode}`}):\n${cut.join('\n')}`,
    fix: `correct it; by hand it is: ${argv.join(' ')}`,
    ...told,
  })
}

const packages: Readonly<Record<MpiLanguage, string>> = { c: 'gcc libc6-dev', 'c++': 'g++', fortran: 'gfortran' }

const variables = (language: MpiLanguage) =>
  ({ c: 'OMPI_CC or MPICH_CC', 'c++': 'OMPI_CXX or MPICH_CXX', fortran: 'OMPI_FC or MPICH_FC' })[language]

/** What the wrapper calls and did not find: Open MPI's says so in a box, MPICH's is a script, whose shell says it. */
function lackingIn(said: string, exitCode: number | null): string | undefined {
  const box = /unable to find the specified compiler\s+(\S+)/.exec(said)
  if (box || exitCode !== 127) return box?.[1]
  return /: (?:line )?\d+: (?:exec: )?(\S+): (?:command )?not found/.exec(said)?.[1]
}

/** Pure but for a look at the source; throws `E_MPI_OPTION`. */
function orderOf(flowDir: string, source: string | readonly string[], options: MpiCompileOptions): Order {
  if (typeof options !== 'object' || options === null) throw wrong(where, 'its second argument', options, 'an object')
  onlyKnown(where, options, names)
  const { language, timeout = TIMEOUT } = options
  if (language !== undefined && !languages.includes(language))
    throw wrong(where, 'language', language, languages.map((one) => `'${one}'`).join(', '))
  for (const [name, list] of Object.entries({ flags: options.flags ?? [], args: Array.isArray(source) ? source : [] }))
    if (!Array.isArray(list) || list.some((word) => typeof word !== 'string' || word.includes('\0')))
      throw wrong(where, name, list, 'a list of strings')
  if (options.out !== undefined && (typeof options.out !== 'string' || /\0|^$/.test(options.out)))
    throw wrong(where, 'out', options.out, 'a path')
  if (typeof source !== 'string') return listed(flowDir, source, options, timeout)

  const path = resolve(flowDir, source)
  if (!statSync(path, { throwIfNoEntry: false })?.isFile())
    throw wrong(where, 'its source', source, 'the path of a file on the control, relative to the folder of the flow')
  const chosen = language ?? languageOf(source)
  if (!chosen) throw wrong(where, 'its source', source, "a file with an extension of a language, or `language: 'c'`")
  const bare = join(dirname(path), basename(path, extname(path)))
  const out = resolve(flowDir, options.out ?? bare)
  if (out === path) throw wrong(where, 'out', options.out ?? bare, 'another path than the source')
  const args = ['-o', out, path, ...(options.flags ?? ['-O2'])]
  return { language: chosen, args, out, what: source, timeout }
}

/** The compiler's arguments as they are; `out` and `flags` are added where they are given. */
function listed(flowDir: string, list: readonly string[], options: MpiCompileOptions, timeout: Duration): Order {
  if (list.length === 0) throw wrong(where, 'its argument', list, 'a source, or the arguments of the compiler')
  const at = list.lastIndexOf('-o')
  const named = options.out ?? (at < 0 ? undefined : list[at + 1])
  const out = named === undefined ? '' : resolve(flowDir, named)
  const args = [...list, ...(options.flags ?? []), ...(options.out === undefined ? [] : ['-o', out])]
  const language = options.language ?? list.map(languageOf).find((one) => one !== undefined) ?? 'c'
  return { language, args, out, what: list.filter((word) => languageOf(word)).join(', ') || list.join(' '), timeout }
}

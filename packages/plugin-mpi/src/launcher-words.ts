// What launchers say of how a launch ended, read from their output. Pure.
import type { LaunchPlan } from './launch-plan.js'
import type { Ranks } from './ranks.js'
import type { LaunchEnd } from './supervise.js'

/** Nodes of the host whose rank Hydra says it ended the others for. */
export function hostNamed({ result }: LaunchEnd, { world }: LaunchPlan): readonly number[] {
  const text = `${result.stdout}\n${result.stderr}`
  const name = /BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\s+=[^\n]*RUNNING AT (\S+)/.exec(text)?.[1]
  const line = world.lines.find(({ address, host }) => address === name || host === name)
  return line?.members.map(({ node }) => node) ?? []
}

/** Ranks of which Open MPI's launcher says that they gave up because the connection to another broke. */
export function echoesIn({ result }: LaunchEnd): ReadonlySet<number> {
  const text = `${result.stderr}\n${result.stdout}`
  const all = text.matchAll(/An error occurred in Socket closed[\s\S]{0,80}?reported by process \[\d+,(\d+)\]/g)
  return new Set([...all].map(([, rank]) => Number(rank)))
}

/** A rank that called MPI_Abort, and what with. */
export interface Abort {
  readonly rank: number
  readonly code: number
}

/** What the launcher, or a rank whose last words the launcher lost, says of an MPI_Abort. */
export function abortIn({ result }: LaunchEnd, { failed }: Ranks): Abort | undefined {
  const text = [result.stderr, result.stdout, ...failed.flatMap(({ lastLines }) => lastLines)].join('\n')
  const open = /MPI_ABORT was invoked on rank (\d+)[\s\S]{0,300}?with errorcode (-?\d+)/i.exec(text)
  if (open) return { rank: Number(open[1]), code: Number(open[2]) }
  const hydra = /MPI_Abort\((?:comm=)?\w+, (-?\d+)\) - process (\d+)/.exec(text)
  return hydra ? { rank: Number(hydra[2]), code: Number(hydra[1]) } : undefined
}

/** The end of an output, as the verdict shows it: at most 30 lines of 500 characters. */
export function lastLines({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string[] {
  const text = stderr.trim() === '' ? stdout : stderr
  const lines = text.slice(-65_536).split(/\r?\n/)
  while (lines.at(-1)?.trim() === '') lines.pop()
  return lines.slice(-30).map((line) => line.slice(-500))
}

import { type ErrorFacts, GangflowError } from '../errors/base.js'
import { exitCodes } from '../errors/exit-codes.js'
import type { Casualty, Verdict } from '../errors/verdict.js'
import type { Style } from './style.js'

/** The exit code of an error: its verdict's cause, else bad input, else infrastructure. */
export function exitCodeOf(facts: Pick<ErrorFacts, 'code' | 'verdict'>): number {
  if (facts.verdict !== undefined) return exitCodes[facts.verdict.cause]
  // A name that the person gave.
  if (facts.code === 'E_GANG_HOST') return exitCodes.usage
  if (/^E_(DATASTORE|KEEPER|PROCESS|GANG|BODY|MESH)/.test(facts.code)) return exitCodes.infrastructure
  return exitCodes.usage
}

/** An error as the screen shows it: what, where, why, and what to do. */
export function errorLines(error: unknown, style: Style): string[] {
  if (!GangflowError.is(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return [`${style.red('error')} ${stack}`, style.dim('this is a defect of gangflow itself: please report it')]
  }
  return factLines(error, style)
}

/** The same for an error's facts. */
export function factLines(facts: ErrorFacts, style: Style): string[] {
  const [head, ...more] = facts.what.split('\n')
  const lines = [`${style.red('error')} ${style.bold(head!)} ${style.dim(`[${facts.code}]`)}`, ...indent(more)]
  const { location } = facts
  if (location !== undefined) {
    lines.push(`  ${style.dim('at')} ${location.file}:${location.line}${location.column ? `:${location.column}` : ''}`)
  }
  if (facts.fix !== undefined) {
    const [first, ...rest] = facts.fix.split('\n')
    lines.push(`  ${style.green('fix')} ${first}`, ...indent(rest, '      '))
  }
  return lines
}

/** A verdict: the first cause in full, the rest in a line each. */
export function verdictLines(verdict: Verdict, style: Style): string[] {
  const { first, echoes, stopped } = verdict
  const lines = [`${style.red(verdict.cause)} ${style.bold(verdict.summary)}`]
  if (first?.error !== undefined) {
    // What to do is said once, at the end.
    const text = (first.error.stack ?? first.error.message).replace(`\n  fix: ${verdict.fix}`, '')
    lines.push(...indent(text.trimEnd().split('\n').slice(0, 40)))
  }
  if (first?.lastLines !== undefined && first.lastLines.length > 0) {
    lines.push(`  ${style.dim(`last lines of ${placeOf(first)}:`)}`, ...indent(first.lastLines, `  ${style.dim('│')} `))
  }
  if (echoes.length > 0) lines.push(`  ${style.dim('because of it failed:')} ${echoes.map(placeOf).join(', ')}`)
  if (stopped.length > 0) {
    const took = verdict.endedAfterMs === undefined ? '' : ` after ${(verdict.endedAfterMs / 1000).toFixed(1)} s`
    lines.push(`  ${style.dim(`stopped${took}:`)} ${stopped.map(placeOf).join(', ')}`)
  }
  for (const missing of verdict.missing ?? []) lines.push(`  ${style.dim('may be missing:')} ${missing}`)
  if (verdict.fix !== undefined) lines.push(`  ${style.green('fix')} ${verdict.fix}`)
  return lines
}

/** `rank 3 (node 1, host b)`. */
export function placeOf(casualty: Casualty): string {
  const name =
    casualty.rank !== undefined ? `rank ${casualty.rank}` : (casualty.process ?? casualty.memberId ?? casualty.kind)
  const where = [
    casualty.node === undefined ? undefined : `node ${casualty.node}`,
    casualty.host === undefined ? undefined : `host ${casualty.host}`,
  ].filter((part) => part !== undefined)
  return where.length === 0 ? name : `${name} (${where.join(', ')})`
}

const indent = (lines: readonly string[], by = '  '): string[] => lines.map((line) => by + line)

import { constants } from 'node:os'
import { GangflowError } from '@gangflow/core'
import type { EngineFailure, GangContext } from '@gangflow/core/plugin'

/** The error of a cluster that failed, from what its node's logs say. Pure but for the roster's names. */
export function explain(gang: Pick<GangContext, 'step' | 'roster'>, failure: EngineFailure): GangflowError {
  const { kind, starting, node, host, nodes, exit, afterMs, process, quote } = failure
  const where = (one: number) => `node ${one} (${gang.roster.entries[one]?.host ?? host})`
  const seconds = `${Math.round(afterMs / 100) / 10} s`
  const dead = whoEnded(quote)
  const facts = {
    step: gang.step,
    node,
    host,
    details: { quote, ...(dead?.signal === undefined ? {} : { signal: dead.signal }) },
  }
  const text = quote.join('\n')
  if (/No module named '?ray(?:['.\s]|$)/m.test(text))
    return new GangflowError({
      ...facts,
      code: 'E_RAY_MISSING',
      what: `the Python of ${where(node)} has no Ray`,
      fix: "pip install 'ray[default]' there, or name an interpreter that has it: `python` of @ray, python= in the hosts file, GANGFLOW_PYTHON",
    })
  if (exit?.exitCode === 127 && starting)
    return new GangflowError({
      ...facts,
      code: 'E_RAY_PYTHON',
      what: `there is no such Python on ${where(node)}: ${quote.at(-1)?.trim() ?? 'exit code 127'}`,
      fix: 'install Python there, or name an interpreter: `python` of @ray, python= in the hosts file, GANGFLOW_PYTHON',
    })
  if (kind === 'silent') {
    const gone = /gangflow: (\S+) is not running/.exec(text)?.[1]
    if (gone)
      return new GangflowError({
        ...facts,
        code: 'E_RAY_NODE',
        what: `Ray's ${gone} on ${where(node)} is not running any more; 'ray start' had not begun to watch it, so that nothing says how it ended`,
        fix: "find out who ended it: the kernel when memory ran out ('dmesg | tail'), or a person; its log may say more",
      })
    const stopped = /gangflow: (\S+) is stopped/.exec(text)?.[1]
    return new GangflowError({
      ...facts,
      code: 'E_RAY_SILENT',
      what: `Ray on ${where(node)} has not answered for ${seconds}${stopped ? `: its ${stopped} is stopped (SIGSTOP)` : ''}`,
      fix: stopped
        ? 'find out who stopped it: a person, a debugger, or a scheduler that suspends'
        : 'its machine has no time for it: give it less to do, or @ray a longer `silence`',
    })
  }
  if (starting && gaveUp(failure))
    return new GangflowError({
      ...facts,
      code: 'E_RAY_START',
      what: `Ray on ${where(node)} gave up its start: its agents did not come up in the time that Ray allows them, 15 to 30 s`,
      fix: 'the machine is too busy, or its disk too slow to load Ray from: start again when it has time, or give it fewer members',
    })
  const how = exit?.signal ? `was ended by ${exit.signal}` : `ended with exit code ${exit?.exitCode}`
  const what = dead
    ? `Ray's ${dead.name} on ${where(node)} ${dead.signal ? `was ended by ${dead.signal}` : `ended with exit code ${dead.code}`}`
    : kind === 'late'
      ? `after ${seconds} Ray still waits for ${nodes.map(where).join(', ')}`
      : `'ray start' on ${where(node)} ${how}`
  return new GangflowError({
    ...facts,
    ...(starting ? { code: 'E_RAY_START' } : { code: 'E_RAY_NODE' }),
    what,
    fix:
      kind === 'late'
        ? `see the logs of ${process}; on a slow machine give @ray a longer \`startTimeout\``
        : fixFor(dead?.signal ?? exit?.signal ?? undefined, process),
  })
}

/** Whether Ray's own limits were too short for the machine: its agents have 15 s to come up, a node 30 s. */
export function gaveUp({ quote, exit }: EngineFailure): boolean {
  const text = [...quote, exit?.stdout, exit?.stderr].join('\n')
  return /Timed out waiting for file \S+port|timed out during startup/.test(text)
}

/** A start is tried once more unless it would fail the same way again. */
export function mayRetry({ kind, exit, quote }: EngineFailure): boolean {
  if (kind === 'late') return false
  return (
    exit?.exitCode !== 127 && exit?.exitCode !== 2 && !/No module named|ValueError|ImportError/.test(quote.join('\n'))
  )
}

/** The process that `ray start` wrote down as ended: `raylet [exit code=-9 (signal 9)]`. */
export function whoEnded(quote: readonly string[]): { name: string; code: number; signal?: string } | undefined {
  for (const line of quote) {
    const match = /\b([a-z][a-z_]*) \[exit code=(-?\d+)/.exec(line)
    if (!match) continue
    const code = Number(match[2])
    const signal = Object.entries(constants.signals).find(([, number]) => number === -code)?.[0]
    return { name: match[1]!, code, ...(code < 0 && signal ? { signal } : {}) }
  }
  return undefined
}

const fixFor = (signal: string | undefined, process: string): string =>
  signal === 'SIGKILL'
    ? "find out who sent SIGKILL: the kernel when memory ran out ('dmesg | tail'), or a person"
    : `see the log of ${process}, and the lines of Ray's own that are quoted`

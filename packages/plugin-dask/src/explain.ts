import { GangflowError } from '@gangflow/core'
import type { EngineFailure, GangContext } from '@gangflow/core/plugin'
import { type MemoryWatch, sizes } from './memory.js'

/** The error of a cluster that failed. Pure. */
export function explain(
  gang: Pick<GangContext, 'step' | 'roster'>,
  failure: EngineFailure,
  memory: Pick<MemoryWatch, 'last' | 'isOver'>,
): GangflowError {
  const { kind, starting, node, host, nodes, exit, afterMs, process, quote, stopped } = failure
  const where = (one: number) => `node ${one} (${gang.roster.entries[one]?.host ?? host})`
  const who = process.startsWith('dask-head') ? "Dask's scheduler" : "Dask's worker"
  const seconds = `${Math.round(afterMs / 100) / 10} s`
  const facts = { step: gang.step, node, host, details: { quote } }
  const last = process.startsWith('dask-head') ? undefined : memory.last(node)
  if (kind === 'ended' && last && memory.isOver(node))
    return new GangflowError({
      ...facts,
      code: 'E_DASK_MEMORY',
      what: `${who} on ${where(node)} was ended: it had ${sizes(last)}`,
      fix: 'make its tasks smaller (partitions of a tenth of the limit), give @dask fewer `threads` or a higher `memoryLimit`',
    })
  if (/No module named '?(?:dask|distributed)/.test(quote.join('\n')) || (starting && exit?.exitCode === 127))
    return new GangflowError({
      ...facts,
      code: 'E_DASK_MISSING',
      what: `the Python of ${where(node)} has no Dask, or there is none: ${quote.at(-1)?.trim() ?? ''}`,
      fix: "pip install 'dask[distributed]' there, or name an interpreter that has it: `python` of @dask, python= in the hosts file, GANGFLOW_PYTHON",
    })
  if (kind === 'silent')
    return new GangflowError({
      ...facts,
      code: 'E_DASK_SILENT',
      what: `${who} on ${where(node)} has not answered for ${seconds}${stopped ? `: its process ${stopped} is stopped by a signal` : ''}`,
      fix: stopped
        ? 'find out who sent it SIGSTOP'
        : 'find out what holds it up; where a task holds Python so long, give @dask a longer `silence`',
    })
  const how = exit?.signal ? `was ended by ${exit.signal}` : `ended with exit code ${exit?.exitCode}`
  return new GangflowError({
    ...facts,
    ...(starting ? { code: 'E_DASK_START' } : { code: 'E_DASK_NODE' }),
    what:
      kind === 'late'
        ? `after ${seconds} Dask still waits for ${nodes.map(where).join(', ')}`
        : `${who} on ${where(node)} ${how}${last && last.limit > 0 && exit?.signal === 'SIGKILL' ? `; it last had ${sizes(last)}` : ''}`,
    fix:
      exit?.signal === 'SIGKILL'
        ? "find out who sent SIGKILL: the kernel when memory ran out ('dmesg | tail'), or a person; a lower `memoryLimit` spills sooner"
        : `see the log of ${process}${kind === 'late' ? ', or give @dask a longer `startTimeout`' : ''}`,
  })
}

/** A start is tried once more unless it would fail the same way again. */
export const mayRetry = ({ kind, exit, quote }: EngineFailure): boolean =>
  kind !== 'late' &&
  exit?.exitCode !== 127 &&
  exit?.exitCode !== 2 &&
  !/No module named|ImportError/.test(quote.join('\n'))

import type { Datastore } from '../datastore/contract.js'
import { logProcesses, type MergedLine, mergeLogs, readLog, tailLog } from '../datastore/logs/read.js'
import type { LogTarget } from '../datastore/logs/spool.js'
import type { AttemptAddress } from '../datastore/records.js'

/** One line of a process's output. */
export interface TaskLine extends MergedLine {
  readonly step: string
  readonly task: string
  readonly attempt: number
}

export interface LogFilter {
  /** Default: every epoch. */
  readonly epoch?: number
  /** A gang's node. Default: every node. */
  readonly node?: number
  /** A process's name, such as `body` or `rank0`. Default: every process. */
  readonly process?: string
  readonly stream?: 'stdout' | 'stderr'
  /** Keep what `\r` overwrote. Default false. */
  readonly raw?: boolean
  readonly signal?: AbortSignal
}

/** Lines of one attempt; with `follow`, as they come, until its processes have ended. */
export async function* attemptLines(
  store: Datastore,
  address: AttemptAddress,
  { follow = false, ...filter }: LogFilter & { readonly follow?: boolean },
): AsyncGenerator<TaskLine> {
  const { step, task, attempt } = address
  const targets = await selected(store, address, filter)
  const lines = follow ? arriving(store, address, targets, filter) : mergeLogs(store, targets, filter)
  for await (const line of lines) yield { ...line, step, task, attempt }
}

export async function attemptTail(
  store: Datastore,
  address: AttemptAddress,
  count: number,
  filter: LogFilter,
): Promise<TaskLine[]> {
  const { step, task, attempt } = address
  const all: TaskLine[] = []
  for (const { epoch, node, process } of await selected(store, address, filter)) {
    for (const line of await tailLog(store, address, count, { ...filter, epoch, node, process })) {
      all.push({ ...line, epoch, node, process, step, task, attempt })
    }
  }
  // Of several hosts the times cannot be compared; within one they can, and most gangs print alike at their end.
  return all.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)).slice(-count)
}

async function selected(store: Datastore, address: AttemptAddress, filter: LogFilter): Promise<LogTarget[]> {
  const all = await logProcesses(store, address)
  return all.filter(
    ({ epoch, node, process }) =>
      (filter.epoch ?? epoch) === epoch && (filter.node ?? node) === node && (filter.process ?? process) === process,
  )
}

/** Lines of several processes in the order in which they arrive here. */
async function* arriving(
  store: Datastore,
  address: AttemptAddress,
  targets: readonly LogTarget[],
  filter: LogFilter,
): AsyncGenerator<MergedLine> {
  type Arrival = { readonly from: AsyncGenerator<MergedLine>; readonly result: IteratorResult<MergedLine> }
  const waiting = new Map<AsyncGenerator<MergedLine>, Promise<Arrival>>()
  const ask = (from: AsyncGenerator<MergedLine>) =>
    waiting.set(
      from,
      from.next().then((result) => ({ from, result })),
    )
  for (const { epoch, node, process } of targets) {
    const place = { epoch, node, process }
    ask(placed(readLog(store, address, { ...filter, ...place, follow: true }), place))
  }
  while (waiting.size > 0) {
    const { from, result } = await Promise.race(waiting.values())
    waiting.delete(from)
    if (result.done) continue
    ask(from)
    yield result.value
  }
}

async function* placed<T extends object, P extends object>(lines: AsyncIterable<T>, place: P): AsyncGenerator<T & P> {
  for await (const line of lines) yield { ...line, ...place }
}

import { GangflowError } from '../errors/base.js'
import { capture } from './capture/capture.js'
import type { Items, IterOptions } from './contract.js'
import type { Crew } from './crew/crew.js'
import { IterSink } from './job/iter-sink.js'
import { Job, type Results, type Sink } from './job/job.js'
import { ListSink } from './job/list-sink.js'
import { Sizing } from './job/sizing.js'
import { sourceOf } from './job/source.js'
import { type MapSettings, mapSettings } from './options.js'
import { Progress } from './progress.js'

export type AnyFunction = (item: never, index: number, context: never) => unknown

/** All results, in order. */
export async function mapAll(
  crew: Crew,
  items: Items<unknown>,
  fn: AnyFunction,
  options: IterOptions,
): Promise<unknown[]> {
  const settings = mapSettings(options)
  return await new Promise<unknown[]>((resolve, reject) => {
    const total = Array.isArray(items) || ArrayBuffer.isView(items) ? (items as unknown[]).length : undefined
    const sink = new ListSink(total, (error) => (error ? reject(error.error) : resolve(sink.results)))
    begin(crew, items, fn, settings, options, new Sizing(settings.batch), sink).catch(reject)
  })
}

/** Results one by one; what of the map is under way when the reader leaves is ended. */
export async function* mapLazily(
  crew: Crew,
  items: Items<unknown>,
  fn: AnyFunction,
  options: IterOptions,
  ordered: boolean,
): AsyncGenerator<unknown, void, undefined> {
  const settings = mapSettings(options)
  const sizing = new Sizing(settings.batch)
  const ahead = (): number => settings.ahead ?? aheadFor(crew.size * settings.concurrency, sizing.cost)
  const sink = new IterSink({ ordered, ahead })
  const job = await begin(crew, items, fn, settings, options, sizing, sink)
  try {
    for (let next = await sink.next(); next !== undefined; next = await sink.next()) {
      yield next.value
      // Asked once the reader has worked off half of what it may be behind: a message each time would cost more.
      if (sink.waiting <= ahead() / 2) crew.pump()
    }
  } finally {
    if (!job.over) {
      crew.stop(job, new Error('the reader of this map has left'))
      await sink.ended()
    }
  }
}

/** What lanes need to be busy for 50 ms at this cost an item. */
function aheadFor(lanes: number, cost: number | undefined): number {
  const busy = cost === undefined ? 0 : (50 / cost) * lanes
  return Math.max(4 * lanes, Math.min(1024, Math.ceil(busy)))
}

async function begin(
  crew: Crew,
  items: Items<unknown>,
  fn: AnyFunction,
  settings: MapSettings,
  options: IterOptions,
  sizing: Sizing,
  sink: Results,
): Promise<Job> {
  checkFunction(fn)
  const { signal } = options
  signal?.throwIfAborted()
  const called = callers()
  let job: Job | undefined
  const source = sourceOf(items, {
    wake: () => {
      if (!job) return
      crew.pump()
      crew.settle(job)
    },
    failed: (error) => job && crew.stop(job, error),
  })
  // While the function is being looked at, its workers start.
  crew.warm(source.total)
  const { program, writes } = await capture(fn, crew.options.isolation)
  const abort = (): void => {
    if (job) crew.stop(job, signal!.reason)
  }
  const progress = new Progress(
    options,
    () => source.total,
    () => job && crew.stop(job, progress.broken!.error),
  )
  const watched: Sink = {
    room: (taken) => sink.room(taken),
    values: (first, values) => {
      progress.done(values.length)
      sink.values(first, settings.collect ? Array.from(values, fulfilled) : values)
    },
    failure: (index, error) => {
      progress.failed()
      if (settings.collect) sink.values(index, [{ status: 'rejected', reason: error }])
    },
    end: (error) => {
      signal?.removeEventListener('abort', abort)
      progress.end()
      sink.end(error ?? progress.broken)
    },
  }
  const spec = {
    program,
    writes,
    called,
    shares: crew.options.isolation === 'thread' && sink instanceof ListSink,
    timeout: settings.timeout,
    options: { lanes: settings.concurrency, collect: settings.collect, moveResults: settings.moveResults },
  }
  job = new Job(spec, source, sizing, watched)
  signal?.addEventListener('abort', abort)
  if (signal?.aborted) job.fail(signal.reason)
  crew.add(job)
  return job
}

function fulfilled(value: unknown): PromiseFulfilledResult<unknown> {
  return { status: 'fulfilled', value }
}

/** The lines of the stack of whoever called a map. */
export function callers(): string {
  const lines = deepStack().split('\n').slice(1)
  return lines.filter((line) => !line.includes(ownFile) && !notTheirs.test(line)).join('\n')
}

/** With room for the person's own frames above this package's. */
function deepStack(): string {
  const at: { stack?: string } = {}
  const limit = Error.stackTraceLimit
  const wasSet = Reflect.set(Error, 'stackTraceLimit', limit + 10)
  Error.captureStackTrace(at)
  // Read while the limit holds, and before that is put back: the text is made at the first reading.
  const { stack = '' } = at
  if (wasSet) Error.stackTraceLimit = limit
  return stack
}

/** As a path: with source maps, stacks have no URLs. Bundled into a program's own CommonJS there is none. */
const ownUrl = (import.meta.url as string | undefined) ?? ''
const ownFile = ownUrl.endsWith('/parallel.js') ? new URL(ownUrl).pathname : '/core/src/parallel-map/'
const notTheirs = /^ {4}at new Promise|node:internal|\/core\/src\/parallel-map\//

export function checkFunction(fn: unknown): void {
  if (typeof fn === 'function') return
  throw new GangflowError({
    code: 'E_MAP_OPTION',
    what: `the function of a map is ${fn === null ? 'null' : typeof fn}`,
    fix: 'parallelMap(items, fn): give the items first, then a function of one item',
  })
}

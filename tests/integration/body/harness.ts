import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type {
  BodyEvent,
  BodyHost,
  BodyOutcome,
  BodyRun,
  BodyTask,
  StopReason,
} from '../../../packages/core/src/body/contract.js'
import { openBodyHost } from '../../../packages/core/src/body/host.js'
import type { Assignment } from '../../../packages/core/src/body/protocol.js'
import { compileFlow } from '../../../packages/core/src/compile/compile-flow.js'
import type { CompiledFlow } from '../../../packages/core/src/compile/contract.js'
import { saveArtifacts } from '../../../packages/core/src/datastore/artifacts/save.js'
import { readArtifact } from '../../../packages/core/src/datastore/artifacts/source.js'
import type { Datastore } from '../../../packages/core/src/datastore/contract.js'
import { committedOf } from '../../../packages/core/src/datastore/logs/chunks.js'
import { readLog } from '../../../packages/core/src/datastore/logs/read.js'
import { openDatastore } from '../../../packages/core/src/datastore/open.js'
import { keys, type TaskRef } from '../../../packages/core/src/datastore/records.js'
import type { Json } from '../../../packages/core/src/flow/values.js'
import type { Keeper } from '../../../packages/core/src/process/contract.js'
import { startKeeper } from '../../../packages/core/src/process/start.js'

export const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** One run's worth of bodies: a real keeper, a real datastore, the built body process. */
export interface Stage {
  readonly compiled: CompiledFlow
  readonly store: Datastore
  readonly keeper: Keeper
  readonly host: BodyHost
  readonly spool: string
  readonly spec: BodyTask['spec']
  /** Runs a step's task; what it prints and tells is in `events`. */
  run(step: string, options?: Partial<Assignment> & Partial<Omit<BodyTask, 'assignment'>>): Played
  /** Commits a task as done, so that a later one can begin from it. */
  commit(ref: TaskRef, outcome: BodyOutcome): Promise<void>
}

export interface Played extends BodyRun {
  readonly task: string
  readonly events: BodyEvent[]
  /** The log as the datastore has it. */
  log(): Promise<string[]>
  /** How many lines it has there. */
  logLines(): Promise<number>
  lines(stream?: 'stdout' | 'stderr'): string[]
  stop(reason: StopReason): void
  until(type: BodyEvent['type'], test?: (event: BodyEvent) => boolean): Promise<BodyEvent>
}

let runs = 0

export async function stage(fixture: string, env: Record<string, string> = {}): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-body-'))
  const store = await openDatastore(`dir:${folder}/store`)
  const file = new URL(`./fixtures/${fixture}`, import.meta.url).pathname
  const compiled = await compileFlow({ file }, store)
  const keeper = await startKeeper({ mark: `body-test-${process.pid}-${++runs}`, root: true })
  const spool = join(folder, 'spool')
  const host = await openBodyHost({ keeper, spool, datastore: store })
  afterAll(async () => {
    await host.close()
    await keeper.close({ graceMs: 100 })
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  })
  const run = `r${runs}`
  const flow = compiled.description.name
  const spec = { compiled, env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...env } }
  const parameters = await saveArtifacts(
    store,
    compiled.description.parameters.map(({ name, default: value }) => ({ name, state: 'value' as const, value })),
    {},
  )
  const counters = new Map<string, number>()
  return {
    compiled,
    store,
    keeper,
    host,
    spool,
    spec,
    run(step, options = {}) {
      const { spec: own, signal, methods, inspect, reuse, emit, onEvent, ...rest } = options
      const task = String((counters.get(step) ?? 0) + 1)
      counters.set(step, Number(task))
      const control = new AbortController()
      const events: BodyEvent[] = []
      const waiting = new Set<() => void>()
      const played = host.run({
        spec: own ?? spec,
        signal: signal ?? control.signal,
        ...(methods ? { methods } : {}),
        ...(inspect ? { inspect } : {}),
        ...(reuse ? { reuse } : {}),
        ...(onEvent ? { onEvent } : {}),
        emit: (event) => {
          events.push(event)
          emit?.(event)
          for (const look of waiting) look()
        },
        assignment: {
          address: { flow, run, step, task, attempt: 0 },
          epoch: 1,
          node: 0,
          datastore: store.location,
          description: compiled.description,
          parents: [],
          frames: [],
          parameters,
          user: 'tester',
          tags: [],
          temp: join(folder, 'temp', `${step}-${task}`),
          ...rest,
        },
      })
      return {
        ...played,
        task,
        events,
        logLines: async () => {
          const target = { address: { flow, run, step, task, attempt: 0 }, epoch: 1, node: 0, process: 'body' }
          const { chunks, ended } = await committedOf(store, target)
          return ended ? chunks.reduce((sum, { lines }) => sum + lines, 0) : -1
        },
        log: async () => {
          const lines: string[] = []
          for await (const { text } of readLog(store, { flow, run, step, task, attempt: 0 })) lines.push(text)
          return lines
        },
        lines: (stream) =>
          events.flatMap((event) =>
            event.type === 'line' && (!stream || event.stream === stream) ? [event.text] : [],
          ),
        stop: (reason) => control.abort(reason),
        until: (type, test = () => true) =>
          new Promise((resolve) => {
            const look = () => {
              const found = events.find((event) => event.type === type && test(event))
              if (!found) return
              waiting.delete(look)
              resolve(found)
            }
            waiting.add(look)
            look()
          }),
      }
    },
    async commit(ref, outcome) {
      if (!outcome.ok) throw new Error(outcome.summary)
      const { artifacts, transition, ambiguous } = outcome.completion
      const done = {
        attempt: 0,
        epoch: 1,
        startedAt: 0,
        endedAt: 0,
        artifacts,
        transition,
        ...(ambiguous ? { ambiguous } : {}),
      }
      await store.createRecord(keys.done({ flow, run, ...ref }), done as unknown as Json)
    },
  }
}

/** The artifacts of a task that went well, decoded. */
export function artifactsOf(store: Datastore, outcome: BodyOutcome): Record<string, unknown> {
  if (!outcome.ok) throw new Error(`${outcome.summary}\n${outcome.casualty.lastLines?.join('\n')}`)
  return Object.fromEntries(
    Object.entries(outcome.completion.artifacts).map(([name, ref]) => [name, readArtifact(store, ref)]),
  )
}

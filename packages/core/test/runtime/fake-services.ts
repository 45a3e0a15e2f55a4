import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BodyHost, BodyOutcome, BodyTask, StopReason } from '../../src/body/contract.js'
import { saveValues } from '../../src/datastore/artifacts/save.js'
import type { Datastore } from '../../src/datastore/contract.js'
import { openDatastoreSync } from '../../src/datastore/open.js'
import { type DoneRecord, keys, type StoredTransition } from '../../src/datastore/records.js'
import type { Cause } from '../../src/errors/verdict.js'
import type { FlowDescription } from '../../src/flow/description.js'
import type { Json } from '../../src/flow/values.js'
import type { RunGang } from '../../src/gang/contract.js'
import type { Keeper } from '../../src/process/contract.js'
import type { RunEvent, RunHandle } from '../../src/runtime/contract.js'
import { startHandle } from '../../src/runtime/control.js'
import { executeRun, type RunRequest, type RunServices } from '../../src/runtime/run.js'

/** What a body of the test does with its task: the way it takes, or a throw. */
export type Perform = (task: BodyTask['assignment'], stop: AbortSignal) => Promise<StoredTransition> | StoredTransition

export const temporaryStore = (): Datastore =>
  openDatastoreSync(join(mkdtempSync(join(tmpdir(), 'gangflow-runtime-')), 'store'), { sync: false })

/**
 * The run's services with bodies that are functions of this process: the scheduler's own tests look at what is
 * started, stored and told, in thousands of orders. Real bodies are in tests/integration.
 */
export function fakeServices(description: FlowDescription, perform: Perform, store: Datastore, workers = 4) {
  const ran: string[] = []
  /** What was asked for ahead of need, in the order of what ran. */
  const order: string[] = []
  const running = { now: 0, most: 0 }
  const host: BodyHost = {
    socket: '',
    prepare: () => void order.push('prepare'),
    close: async () => {},
    run: (task) => {
      const { step, task: id, attempt } = task.assignment.address
      ran.push(`${step}/${id}/${attempt}`)
      running.now += 1
      running.most = Math.max(running.most, running.now)
      task.emit?.({ type: 'started', pid: 1, warm: false })
      const outcome = attemptOf(perform, task).finally(() => {
        running.now -= 1
      })
      return { peer: Promise.reject(new Error('none')), outcome, logged: Promise.resolve(), kill: () => {} }
    },
  }
  const runGang: RunGang = async ({ request, assignment, signal, emit }) => {
    const { address, size } = request
    order.push(address.step)
    ran.push(`${address.step}/${address.task}/${address.attempt}`)
    const transition = await perform({ ...assignment, epoch: 1, node: 0 }, signal)
    order.push(`${address.step} ends`)
    for (let node = 0; node < size; node += 1) emit?.({ type: 'member', node, host: 'here', state: 'done', epoch: 1 })
    const done: DoneRecord = {
      attempt: address.attempt,
      epoch: 1,
      startedAt: 0,
      endedAt: 0,
      artifacts: {},
      transition,
      nodes: [...Array(size).keys()].map((node) => ({ node, host: 'here', control: node === 0, artifacts: {} })),
    }
    await store.createRecord(keys.done(address), done as unknown as Json)
    return { ok: true, done }
  }
  const keeper = { close: async () => {}, stopAll: async () => {}, closed: new Promise(() => {}) } as unknown as Keeper
  const services: RunServices = {
    datastore: store,
    capacity: { workers, cpus: 4, gpus: [] },
    backend: () => ({ name: 'fake', plan: () => ({}), start: () => Promise.reject(new Error('not here')) }),
    runGang,
    save: async (value) => (await saveValues(store, [value], { label: 'caught' }))[0]!,
    compile: async ({ file }) => {
      const blob = { hash: '0'.repeat(64), size: 0 }
      return {
        file,
        bundle: file,
        core: '/',
        description,
        ref: { hash: blob.hash, code: blob, map: blob },
        uses: { pinned: [], sources: [] },
      }
    },
    startKeeper: async () => keeper,
    startHost: async () => host,
    parameters: async (_, origin) => origin ?? {},
  }
  return { services, ran, order, running }
}

async function attemptOf(perform: Perform, task: BodyTask): Promise<BodyOutcome> {
  const failed = (cause: Cause, summary: string): BodyOutcome => ({
    ok: false,
    cause,
    summary,
    code: cause === 'user' ? 'E_STEP_THREW' : 'E_STOPPED',
    casualty: { kind: 'body', error: { message: summary } },
    at: 0,
    durationMs: 0,
  })
  const stopped = new Promise<BodyOutcome>((resolve) => {
    const stop = () => {
      const { cause, why } = task.signal.reason as StopReason
      resolve(failed(cause, why))
    }
    if (task.signal.aborted) stop()
    else task.signal.addEventListener('abort', stop, { once: true })
  })
  const performed = (async (): Promise<BodyOutcome> => {
    try {
      const transition = await perform(task.assignment, task.signal)
      return { ok: true, completion: { ok: true, artifacts: {}, transition }, durationMs: 0 }
    } catch (error) {
      return failed('user', (error as Error).message)
    }
  })()
  return Promise.race([performed, stopped])
}

export function start(services: RunServices, request: Partial<RunRequest> = {}, signal?: AbortSignal): RunHandle {
  const whole: RunRequest = { file: '/flow.ts', user: 'me', tags: [], env: {}, ...request }
  return startHandle({ flow: 'Flow', command: 'gangflow run', ...(signal ? { signal } : {}) }, (control) =>
    executeRun(services, whole, control),
  )
}

export async function collect(handle: RunHandle): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of handle.events) events.push(event)
  return events
}

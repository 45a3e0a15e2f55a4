import { accountOfError, accountOfStop } from '../body/account.js'
import type { BodyHost, BodyOutcome, BodyTask, StopReason } from '../body/contract.js'
import { errorFacts } from '../body/facts.js'
import type { Peer } from '../body/peer.js'
import { perform } from '../body/perform.js'
import type { Datastore } from '../datastore/contract.js'
import { GangflowError } from '../errors/base.js'
import type { FlowClass } from '../flow/invocation.js'
import type { Keeper } from '../process/contract.js'

/** Bodies that are calls in this process, one after the other: for tests of flows. */
export function inProcessHost(
  flowClass: FlowClass,
  store: Datastore,
  onThrown: (step: string, thrown: unknown) => void,
): BodyHost {
  return {
    socket: '',
    prepare: () => {},
    close: async () => {},
    run: (task) => ({
      peer: Promise.reject(new Error('a task of this process has no peer')),
      outcome: performTask(flowClass, store, task, onThrown),
      logged: Promise.resolve(),
      // What runs here cannot be killed alone.
      kill: () => {},
    }),
  }
}

/** Nothing hangs below it: there are no processes. */
export const inProcessKeeper = {
  close: async () => {},
  stopAll: async () => {},
  closed: new Promise(() => {}),
} as unknown as Keeper

async function performTask(
  flowClass: FlowClass,
  store: Datastore,
  task: BodyTask,
  onThrown: (step: string, thrown: unknown) => void,
): Promise<BodyOutcome> {
  const { assignment, spec } = task
  const { step } = assignment.address
  const startedAt = performance.now()
  const remains = { step, pid: process.pid, lastLines: [] }
  const timed = () => ({ durationMs: performance.now() - startedAt, at: performance.now() })
  task.emit?.({ type: 'started', pid: process.pid, warm: true })
  const restore = environment(spec.env)
  const stop = stopOf(task)
  try {
    const work = perform({
      assignment,
      flowClass,
      store,
      peer: undefined as unknown as Peer,
      signal: task.signal,
      makeContext: () => {
        throw needsProcess(step)
      },
      onEvent: () => {},
      tell: (state) => task.emit?.({ type: 'state', state }),
    })
    const completion = await Promise.race([work, stop.reason])
    if ('ok' in completion) return { ok: true, completion, ...timed() }
    return { ...accountOfStop(completion, remains), ...timed() }
  } catch (thrown) {
    onThrown(step, thrown)
    return { ...accountOfError(errorFacts(thrown, step), remains), ...timed() }
  } finally {
    stop.end()
    restore()
  }
}

/** A step of this process cannot be killed: at its limit the run goes on without it. */
function stopOf({ signal, assignment }: BodyTask): { readonly reason: Promise<StopReason>; end(): void } {
  let timer: NodeJS.Timeout | undefined
  let onAbort = () => {}
  const reason = new Promise<StopReason>((resolve) => {
    onAbort = () => resolve(signal.reason as StopReason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const { timeoutMs } = assignment
    if (timeoutMs === undefined) return
    const why = `did not end within its timeout of ${timeoutMs / 1000} s`
    timer = setTimeout(() => resolve({ cause: 'timeout', why, graceMs: 0 }), timeoutMs)
  })
  return {
    reason,
    end: () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    },
  }
}

/** Sets what a body would have in its environment; gives the way back. */
function environment(env: Readonly<Record<string, string>>): () => void {
  const before = { ...process.env }
  for (const [name, value] of Object.entries(env)) if (before[name] !== value) process.env[name] = value
  return () => {
    for (const name of Object.keys(env)) {
      const value = before[name]
      if (value === undefined) delete process.env[name]
      else if (process.env[name] !== value) process.env[name] = value
    }
  }
}

/** `plugins` of the step, without the @. A setup on a gang of one in this process would prove little and leak much. */
export function needsProcess(step: string, plugins: readonly string[] = []): GangflowError {
  const is = plugins.length > 0 ? `has ${plugins.map((name) => `@${name}`).join(' and ')}` : 'is a gang step'
  return new GangflowError({
    code: 'E_TEST_GANG',
    what: `step '${step}' ${is}: it needs processes of its own, which runFlow() does not start`,
    fix: 'test the flow with run() of @gangflow/core (a gang of a few members on this machine), or the step alone with runStep(), which takes what the plugin gives in `current`',
    step,
  })
}

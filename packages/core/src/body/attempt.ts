import { GangflowError, messageOf } from '../errors/base.js'
import type { ProcessExit } from '../process/contract.js'
import {
  accountOfDeath,
  accountOfError,
  accountOfHang,
  accountOfStart,
  accountOfStop,
  type Remains,
} from './account.js'
import type { BodyProcess } from './body-process.js'
import type { BodyEvent, BodyOutcome, BodyState, BodyTask, StopReason } from './contract.js'
import { readLastWords } from './last-words.js'
import type { Methods, Peer } from './peer.js'
import type { Completion } from './protocol.js'

/** Milliseconds that a body which failed has to end by itself, so that its last lines are complete. */
const failedExitMs = 1000
/** And one whose connection has ended. */
const lostExitMs = 2000

export interface AttemptResult {
  readonly outcome: BodyOutcome
  /** False when the body ended before it had begun with the task: another body may take it. */
  readonly began: boolean
}

export interface AttemptRequest {
  /** The body was started ahead of need, or served before. */
  readonly warm: boolean
  readonly task: BodyTask
  readonly methods: Methods
  onBegun(peer: Peer): void
}

/** One task on one body, from `run` to its outcome. Whether and when the body ends is seen to by the caller. */
export async function attemptOn(body: BodyProcess, request: AttemptRequest): Promise<AttemptResult> {
  const { warm, task, methods } = request
  const assignment = task.inspect ? { ...task.assignment, inspect: true } : task.assignment
  const step = assignment.address.step
  const startedAt = performance.now()
  let began = false
  let failedAt = startedAt
  let stopped: StopReason | undefined
  const emit = (event: BodyEvent) => task.emit?.(event)
  const stop = (reason: StopReason) => {
    if (stopped && stopped.graceMs <= reason.graceMs) return
    stopped ??= reason
    if (body.pid !== undefined) body.peer.then((peer) => peer.event('stop', { why: reason.why }), ignore)
    body.stop({ graceMs: reason.graceMs })
  }
  const onAbort = () => stop(task.signal.reason as StopReason)
  if (task.signal.aborted) onAbort()
  else task.signal.addEventListener('abort', onAbort)
  let timer: NodeJS.Timeout | undefined
  try {
    await body.ready
    body.show((line) => emit({ type: 'line', ...line }))
    const peer = await body.peer
    peer.name = `the body of step '${step}'`
    peer.methods = methods
    peer.onEvent = (event, data, payload) => {
      if (event === 'state') {
        if (!began) request.onBegun(peer)
        began = true
        emit({ type: 'state', state: data as BodyState })
      } else if (event === 'progress') emit({ type: 'progress', data: data ?? null })
      else if (event === 'inspect') emit({ type: 'inspect', url: String(data) })
      else task.onEvent?.(event, data, payload)
    }
    emit({ type: 'started', pid: body.pid!, warm })
    if (!task.inspect) timer = alarm(assignment.timeoutMs, stop)
    const completion = await conversation(body, peer.call<never>('run', assignment as never))
    failedAt = performance.now()
    if (completion === undefined) {
      const exit = await ended(body, lostExitMs)
      return { began, outcome: finish(death(exit), exit) }
    }
    if (completion.ok) return { began, outcome: { ok: true, completion, durationMs: performance.now() - startedAt } }
    peer.event('bye')
    await Promise.race([body.exited, after(failedExitMs)])
    return { began, outcome: finish(() => accountOfError(completion.error, remains())) }
  } catch (error) {
    failedAt = performance.now()
    const exit = await ended(body, lostExitMs)
    const facts = GangflowError.is(error) ? error.toJSON() : { code: 'E_BODY_START', what: messageOf(error) }
    return { began, outcome: finish(() => accountOfStart(facts, remains(exit)), exit) }
  } finally {
    clearTimeout(timer)
    task.signal.removeEventListener('abort', onAbort)
  }

  function remains(exit?: ProcessExit): Remains {
    return { step, pid: body.pid, exit, lastLines: body.feed.tail() }
  }
  function death(exit: ProcessExit | undefined) {
    return () =>
      body.hung ? accountOfHang(remains(exit), body.hung) : accountOfDeath(remains(exit), readLastWords(body.lastWords))
  }
  function finish(account: () => ReturnType<typeof accountOfDeath>, exit?: ProcessExit): BodyOutcome {
    const told = stopped ? accountOfStop(stopped, remains(exit)) : account()
    return { ...told, at: exit?.at ?? failedAt, durationMs: failedAt - startedAt }
  }
}

/** The body's answer, or undefined when it ended without one. */
async function conversation(body: BodyProcess, reply: Promise<unknown>): Promise<Completion | undefined> {
  const answered = reply.then(
    (completion) => completion as Completion,
    (error: unknown) => {
      if (GangflowError.is(error) && error.code === 'E_PEER_CLOSED') return undefined
      throw error
    },
  )
  // What it sent before it died may still be on its way when its death is heard of.
  const died = body.exited.then(() => Promise.race([answered, after(failedExitMs)]))
  return await Promise.race([answered, died])
}

/** How the body ended; one that does not end in time is made to. */
async function ended(body: BodyProcess, withinMs: number): Promise<ProcessExit | undefined> {
  const exit = await Promise.race([body.exited.catch(ignore), after(withinMs)])
  if (exit) return exit
  body.stop({ graceMs: 0, signal: 'SIGKILL' })
  await Promise.race([body.exited.catch(ignore), after(withinMs)])
  return undefined
}

function alarm(timeoutMs: number | undefined, stop: (reason: StopReason) => void): NodeJS.Timeout | undefined {
  if (timeoutMs === undefined) return undefined
  const why = `ran longer than its timeout of ${timeoutMs} ms`
  return setTimeout(() => stop({ cause: 'timeout', why, graceMs: 500 }), timeoutMs)
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms).unref()
  })
}

function ignore(): undefined {}

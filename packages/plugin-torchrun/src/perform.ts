import { mkdirSync, readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { GangflowError } from '@gangflow/core'
import type { GangContext, GangPort, Json } from '@gangflow/core/plugin'
import { casualtyOf, explain, type Failed, isEcho, isPortTaken, type Place } from './failure.js'
import { masked } from './mask.js'
import { meet } from './meet.js'
import type { TorchRankResult, TorchResult, TorchRunOptions } from './options.js'
import { planTorch, type TorchPlan } from './plan.js'
import { outputDirectory, type Prepared, planInput, prepare, type Session } from './session.js'
import { stoppedRank } from './stopped.js'
import { errorsLeft, firstFailure, type Running, startAll } from './watch.js'

/** Longest that a timer can wait: nobody's training is limited but by its own `timeout`. */
const UNLIMITED_MS = 2_000_000_000
/** An echo waits this long for the failure that it echoes. */
const ECHO_MS = 250
/** The end of a round that was not the call's end. */
const REDRAWN = Symbol('redrawn')

/** What another plugin makes of a plan before it is performed. */
type Adapt = (plan: TorchPlan) => TorchPlan | Promise<TorchPlan>

/** One call on this member, from its options to the gang's one result. */
export async function perform(
  session: Session,
  call: TorchRunOptions,
  adapt: Adapt = (plan) => plan,
): Promise<TorchResult> {
  session.open += 1
  try {
    return await performAll(session, call, adapt)
  } finally {
    session.open -= 1
  }
}

async function performAll(session: Session, call: TorchRunOptions, adapt: Adapt): Promise<TorchResult> {
  const { gang, family } = session
  const prepared = await prepare(session, call)
  const number = ++session.calls
  const fixed = prepared.called.masterPort
  let held: GangPort | undefined
  const draw = async (round: number) => {
    if (fixed !== undefined) return fixed
    await held?.release()
    held = await gang.reservePort(`${family.name}-${number}-${round}`)
    return held.port
  }
  let port = await meet(gang, family, prepared.called, gang.isControl ? await draw(0) : null)
  for (let round = 0; ; round++) {
    const result = await performRound(session, prepared, { number, round, port, adapt })
    if (result !== REDRAWN) {
      const all = await finish(session, prepared, port, result)
      await held?.release()
      return all
    }
    // The port was taken between its reservation and rank 0's bind: once more, everywhere, with another.
    const key = portKey(family.name, number, round + 1)
    if (gang.isControl) await gang.kv.set(key, await draw(round + 1))
    port = (await gang.kv.get(key, { signal: gang.signal })) as number
  }
}

interface Round {
  readonly number: number
  readonly round: number
  readonly port: number
  readonly adapt: Adapt
}

const portKey = (name: string, number: number, round: number): string => `${name}/${number}/port/${round}`

async function performRound(
  session: Session,
  prepared: Prepared,
  at: Round,
): Promise<TorchRankResult[] | typeof REDRAWN> {
  const { gang, family } = session
  const input = planInput(session, prepared, { ...at, port: String(at.port) })
  const plan = await at.adapt(planTorch(input))
  mkdirSync(input.temp, { recursive: true, mode: 0o700 })
  for (let local = 0; local < plan.localWorldSize; local++)
    mkdirSync(`${input.output}/rank${plan.firstRank + local}`, { recursive: true })
  await gang.record(`${family.name}-${at.number}`, shown(plan))
  if (plan.launcher === 'prefork') await session.prefork!.ready()
  const running = await startAll(gang, plan)
  const over = new AbortController()
  try {
    const mayRedraw = prepared.called.masterPort === undefined && at.round === 0
    const first = await Promise.race([
      firstFailure(running, input.temp, prepared.settings.torchrunArgs),
      stoppedRank(plan, over.signal),
      aborted(gang.signal),
      ...(mayRedraw && !gang.isControl
        ? [redrawn(gang, portKey(family.name, at.number, at.round + 1), over.signal)]
        : []),
      ...(prepared.called.timeoutMs === undefined ? [] : [late(prepared.called.timeoutMs, over.signal)]),
    ])
    if (first === undefined) return await results(gang, plan, running)
    if (first === STOPPED) return await stopped(gang, running, input.temp, placeOf(gang, prepared))
    if (first === REDRAWN || (first !== LATE && mayRedraw && gang.isControl && isPortTaken(first))) {
      await Promise.all(running.map(({ process }) => process.stop()))
      return REDRAWN
    }
    if (first === LATE) throw await timedOut(session, prepared, running)
    return await failed(session, prepared, first, { running, temp: input.temp, port: at.port })
  } finally {
    over.abort()
  }
}

/** Tells the gang why it ends, and throws the same. */
async function failed(
  session: Session,
  prepared: Prepared,
  first: Failed,
  context: { running: readonly Running[]; temp: string; port: number },
): Promise<never> {
  const { gang } = session
  const place = placeOf(gang, prepared)
  let cause = await withoutParent(session, first)
  if (cause.signal || isEcho(cause)) {
    // What the gang itself stops, or what merely lost a peer, leaves the word to whoever failed by itself.
    await Promise.race([sleep(cause.signal ? 50 : ECHO_MS), aborted(gang.signal)])
    cause = errorsLeft(context.running, context.temp).find((other) => !isEcho(other)) ?? cause
    if (gang.signal.aborted && cause === first) return stopped(gang, context.running, context.temp, place)
  }
  const error = explain(cause, place, String(context.port))
  await gang.fail(casualtyOf(cause, place, error), cause.stopped === undefined ? undefined : 'infrastructure')
  throw error
}

/** When the prefork parent was killed, it is the one that failed, not the ranks that went with it. */
async function withoutParent({ prefork }: Session, first: Failed): Promise<Failed> {
  if (!prefork || !first.lastLines.some((line) => line.includes('[gangflow] the prefork parent ended'))) return first
  const end = await Promise.race([prefork.ended, sleep(1000).then(() => undefined)])
  if (!end) return first
  return { process: 'prefork', exitCode: end.exitCode, signal: end.signal, lastLines: first.lastLines }
}

/** The gang is being stopped: an exception of ours that came first must still be told. */
async function stopped(gang: GangContext, running: readonly Running[], temp: string, place: Place): Promise<never> {
  await Promise.race([Promise.all(running.map(({ ended }) => ended)), sleep(ECHO_MS)])
  const own = errorsLeft(running, temp).find((other) => !isEcho(other))
  if (own) {
    const error = explain(own, place, '')
    await gang.fail(casualtyOf(own, place, error)).catch(() => {})
    throw error
  }
  throw gang.signal.reason
}

async function results(gang: GangContext, plan: TorchPlan, running: readonly Running[]): Promise<TorchRankResult[]> {
  const host = gang.roster.entries[gang.nodeIndex]!.host
  const torchrun = running.find(({ planned }) => planned.kind === 'torchrun')
  const relays = running.filter(({ planned }) => planned.kind === 'relay')
  await Promise.all(relays.map(({ process }) => process.stop()))
  const ranks = running.filter(({ planned }) => planned.rank !== undefined)
  return Promise.all(
    ranks.map(async ({ planned, ended }) => {
      const { exitCode, signal, durationMs } = await (torchrun?.ended ?? ended)
      const place = { rank: planned.rank!, localRank: planned.localRank!, node: plan.node, host }
      return { ...place, exitCode, signal, durationMs }
    }),
  )
}

/** Everyone's ranks, when all have ended well. */
async function finish(
  session: Session,
  prepared: Prepared,
  masterPort: number,
  mine: TorchRankResult[],
): Promise<TorchResult> {
  const { gang } = session
  const output = outputDirectory(session)
  const wrote = readdirSync(output, { recursive: true, withFileTypes: true }).some((entry) => entry.isFile())
  if (wrote) await gang.collect(prepared.called.outputArtifact, output)
  const ranks = (await gang.allGather(mine, { timeout: UNLIMITED_MS, signal: gang.signal })).flat()
  ranks.sort((a, b) => a.rank - b.rank)
  return {
    launcher: prepared.called.launcher,
    worldSize: ranks.length,
    masterPort,
    durationMs: Math.max(...ranks.map((rank) => rank.durationMs)),
    ranks,
  }
}

const STOPPED = Symbol('stopped')
const LATE = Symbol('late')

function aborted(signal: AbortSignal): Promise<typeof STOPPED> {
  if (signal.aborted) return Promise.resolve(STOPPED)
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(STOPPED), { once: true }))
}

function redrawn(gang: GangContext, key: string, signal: AbortSignal): Promise<typeof REDRAWN> {
  return new Promise((resolve) => {
    gang.kv.get(key, { timeout: UNLIMITED_MS, signal }).then(
      () => resolve(REDRAWN),
      () => {}, // The round is over, or the gang is: others tell.
    )
  })
}

function late(ms: number, signal: AbortSignal): Promise<typeof LATE> {
  return new Promise((resolve) => {
    sleep(Math.min(ms, UNLIMITED_MS), undefined, { signal }).then(
      () => resolve(LATE),
      () => {},
    )
  })
}

async function timedOut(
  { gang, family }: Session,
  prepared: Prepared,
  running: readonly Running[],
): Promise<GangflowError> {
  const error = new GangflowError({
    code: 'E_TORCH_TIMEOUT',
    what: `the ranks of ${prepared.called.entrypoint} ran longer than ${prepared.called.timeoutMs} ms`,
    fix: `give ${family.call} a longer \`timeout\`, or see the logs of the ranks for what they waited for`,
    step: gang.step,
    node: gang.nodeIndex,
  })
  const place = placeOf(gang, prepared)
  const { node, host, memberId } = place
  await gang.fail({ kind: 'body', node, host, memberId, error: { message: error.what, code: error.code } })
  await Promise.all(running.map(({ process }) => process.stop()))
  return error
}

function placeOf(gang: GangContext, prepared: Prepared): Place {
  const { host, memberId } = gang.roster.entries[gang.nodeIndex]!
  return { step: gang.step, node: gang.nodeIndex, host, memberId, python: prepared.python[0]! }
}

/** A plan as it is kept with the task. */
function shown(plan: TorchPlan): Json {
  const processes = plan.processes.map((planned) => ({ ...planned, env: masked(planned.env) }))
  return { ...plan, processes } as unknown as Json
}

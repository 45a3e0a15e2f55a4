import { setTimeout as sleep } from 'node:timers/promises'
import { GangflowError } from '../../errors/base.js'
import { milliseconds } from '../../errors/duration.js'
import type { Command, CommandResult, GangContext } from '../contract.js'
import type { Engine, EngineCluster, EngineFailure, EngineOptions } from './contract.js'
import { casualtyOf, causeOf, errorOf, tell } from './failure.js'
import { Failed, type Start, start } from './start.js'
import { watch } from './watch.js'

/** A driver that failed waits so long for the failure of the cluster that may be behind it, where not all nodes answer. */
const BEHIND_MS = 5_000

/**
 * Forms a framework's own cluster on the gang, on the control's body alone: the head on the control, then the workers,
 * until every node is there. A start that fails is tried once more. From then on the cluster is watched: when a process
 * of it ends, or a node is silent, the gang ends with a verdict that quotes the framework's own log.
 * @throws GangflowError what the engine's `explain` makes of it, else `E_ENGINE_START`
 */
export async function clusterEngine(
  gang: GangContext,
  engine: Engine,
  options: EngineOptions = {},
): Promise<EngineCluster> {
  const began = performance.now()
  const deadline = began + milliseconds(options.startTimeout ?? '3m')
  const started = await startAtAll(gang, engine, { began, deadline, starts: options.starts ?? 2 })
  const startedMs = performance.now() - began
  const over = new AbortController()
  const seen = Promise.race([
    started.ended,
    watch(gang, engine, started, { silenceMs: milliseconds(options.silence ?? '6s'), over: over.signal }),
  ])
  const failed = seen.then(async (what): Promise<never> => {
    const failure = over.signal.aborted ? undefined : await tell(gang, engine, started.plan, what)
    if (failure === undefined || over.signal.aborted) return new Promise<never>(() => {})
    const error = errorOf(gang, engine, failure)
    await gang.fail(casualtyOf(gang, failure, error), causeOf(failure)).catch(() => {})
    throw error
  })
  failed.catch(() => {})
  return {
    plan: started.plan,
    startedMs,
    failed,
    run: (command, limits) =>
      run(gang, command, { ...limits, failed, allThere: () => allThere(gang, engine, started) }),
    async close() {
      over.abort()
      await started.close()
    },
  }
}

async function startAtAll(
  gang: GangContext,
  engine: Engine,
  options: { readonly began: number; readonly deadline: number; readonly starts: number },
): Promise<Start> {
  let told = ''
  const onWaiting = (nodes: readonly number[]) => {
    const line = `${engine.name}: waiting for node ${nodes.join(', ')}`
    if (line !== told) gang.progress({ line })
    told = line
  }
  for (let turn = 1; ; turn++) {
    try {
      return await start(gang, engine, { ...options, turn, onWaiting })
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      const failure = await tell(gang, engine, error.plan, error.seen)
      await error.close()
      if (failure === undefined) throw gang.signal.reason
      const own = errorOf(gang, engine, failure)
      const isLast = turn >= options.starts || performance.now() > options.deadline
      if (isLast || engine.mayRetry?.(failure) === false) {
        await gang.fail(casualtyOf(gang, failure, own), causeOf(failure)).catch(() => {})
        throw own
      }
      console.error(retried(own, failure))
    }
  }
}

const retried = (error: GangflowError, { quote }: EngineFailure): string =>
  [`[gangflow] ${error.what}; it is started once more`, ...quote.map((line) => `  ${line}`)].join('\n')

/** A command beside the cluster: whichever ends first. */
async function run(
  gang: GangContext,
  command: Command,
  options: {
    readonly timeoutMs?: number
    readonly signal?: AbortSignal
    readonly failed: Promise<never>
    readonly allThere: () => Promise<boolean>
  },
): Promise<CommandResult> {
  const process = await gang.start([0], command)
  const over = new AbortController()
  const { timeoutMs, signal, failed } = options
  const given = new Promise<never>((_, reject) => {
    const give = (from: AbortSignal) => () => reject(from.reason)
    for (const one of [gang.signal, ...(signal ? [signal] : [])]) {
      if (one.aborted) reject(one.reason)
      one.addEventListener('abort', give(one), { once: true, signal: over.signal })
    }
    if (timeoutMs !== undefined)
      void sleep(Math.min(timeoutMs, 2_000_000_000), undefined, { signal: over.signal }).then(
        () => reject(late(command, timeoutMs)),
        () => {},
      )
  })
  try {
    const [result] = await Promise.race([process.ended, failed, given])
    // A driver that lost its cluster is its echo.
    if (result!.exitCode !== 0 && !(await options.allThere()))
      await Promise.race<unknown>([failed, given, sleep(BEHIND_MS)])
    return result!
  } catch (error) {
    await process.stop().catch(() => {})
    throw error
  } finally {
    over.abort()
  }
}

async function allThere(gang: GangContext, engine: Engine, { plan }: Start): Promise<boolean> {
  const there = await engine.present(plan, AbortSignal.timeout(2_000)).catch((): number[] => [])
  return gang.roster.entries.every(({ node }) => there.includes(node))
}

const late = (command: Command, timeoutMs: number): GangflowError =>
  new GangflowError({
    code: 'E_GANG_EXEC_TIMEOUT',
    what: `'${command.name ?? command.argv.join(' ')}' did not end within ${timeoutMs} ms; it was stopped`,
    fix: 'see its log, or give it a longer timeout',
  })

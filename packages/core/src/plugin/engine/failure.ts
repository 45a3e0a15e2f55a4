import { GangflowError } from '../../errors/base.js'
import type { Casualty, Cause } from '../../errors/verdict.js'
import type { CommandResult, GangContext } from '../contract.js'
import type { Engine, EngineFailure, EnginePlan } from './contract.js'

/** Milliseconds that a member has to print what is quoted of its logs. */
const QUOTE_MS = 5_000
/** A member that does not even answer the gang is the gang's own to tell of: so long it has. */
const GANG_MS = 15_000

/** What is known of a failure before its logs are read. */
export type Seen = Omit<EngineFailure, 'quote' | 'host'>

/** Adds what the node's logs say. Undefined: the gang itself is being stopped, and says why. */
export async function tell(
  gang: GangContext,
  engine: Engine,
  plan: EnginePlan,
  seen: Seen,
): Promise<EngineFailure | undefined> {
  const about = { ...seen, host: gang.roster.entries[seen.node]?.host ?? '', quote: lines(seen.exit) }
  const logs = engine.logs?.(plan, seen.node, seen.kind)
  if (gang.signal.aborted) return undefined
  if (!logs) return about
  try {
    const command = { show: false, ...logs, name: `${engine.name}-logs` }
    const [printed] = await gang.exec([seen.node], command, { timeout: QUOTE_MS })
    const quote = lines(printed)
    return quote.length > 0 ? { ...about, quote } : about
  } catch {
    return (await abortedWithin(gang.signal, seen.kind === 'silent' ? GANG_MS : 0)) ? undefined : about
  }
}

/** The error of a failure: the plugin's, else what is known. */
export function errorOf(gang: GangContext, engine: Engine, failure: EngineFailure): GangflowError {
  const own = engine.explain?.(failure)
  if (own) return own
  const { kind, starting, node, host, nodes, process, exit, afterMs } = failure
  const seconds = `${Math.round(afterMs / 100) / 10} s`
  const where = (one: number) => `node ${one} (${gang.roster.entries[one]?.host})`
  const facts = { step: gang.step, node, host, details: { quote: failure.quote } }
  const said = failure.quote.at(-1)?.trim()
  if (kind === 'silent')
    return new GangflowError({
      ...facts,
      code: 'E_ENGINE_SILENT',
      what: `${engine.name} on ${where(node)} has not answered for ${seconds}${failure.stopped ? `: its process ${failure.stopped} is stopped by a signal` : ''}`,
      fix: `see the log of ${process} on node ${node}: it was stopped, or its machine has no time for it`,
    })
  const how = exit?.signal ? `was ended by ${exit.signal}` : `ended with exit code ${exit?.exitCode}`
  const what =
    kind === 'late'
      ? `after ${seconds} ${engine.name} still waits for ${nodes.map(where).join(', ')}`
      : `${process} on ${where(node)} ${how}${said ? `: ${said}` : ''}`
  return new GangflowError({
    ...facts,
    ...(starting ? { code: 'E_ENGINE_START' } : { code: 'E_ENGINE_ENDED' }),
    what,
    fix: `see the log of ${process} on node ${node}${kind === 'late' ? ', or give it more time by startTimeout' : ''}`,
  })
}

/** The account of it for the gang's verdict. */
export function casualtyOf(gang: GangContext, failure: EngineFailure, error: GangflowError): Casualty {
  const { node, host, process, exit, quote } = failure
  // What the framework's own log names: the process below the one that we saw end.
  const signal = error.details?.['signal'] ?? exit?.signal
  const memberId = gang.roster.entries[node]?.memberId
  return {
    kind: 'process',
    node,
    host,
    process,
    ...(memberId === undefined ? {} : { memberId }),
    ...(typeof signal === 'string' ? { signal } : exit?.exitCode == null ? {} : { exitCode: exit.exitCode }),
    error: { message: error.what, code: error.code, ...(error.fix === undefined ? {} : { fix: error.fix }) },
    lastLines: quote,
  }
}

/** Whose business it is where no end of a process tells: who does not answer was stopped, is gone, or has no time. */
export const causeOf = ({ kind }: EngineFailure): Cause | undefined =>
  kind === 'silent' ? 'infrastructure' : undefined

/** The end of a process's output, as a verdict shows it. */
function lines(result: CommandResult | undefined): string[] {
  const text = [result?.stderr, result?.stdout].filter((output) => output?.trim()).join('\n')
  return text
    .slice(-65_536)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .slice(-30)
    .map((line) => line.slice(-2000))
}

function abortedWithin(signal: AbortSignal, ms: number): Promise<boolean> {
  if (signal.aborted || ms === 0) return Promise.resolve(signal.aborted)
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}

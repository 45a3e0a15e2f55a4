import type { Cause } from '../errors/verdict.js'
import type { Failure, Weight } from './protocol.js'

/** A failure placed in time: `at` is the judge's clock at arrival minus the age that it came with (D4). */
export interface Placed extends Failure {
  readonly at: number
  readonly node?: number
}

export interface Judgement {
  readonly first: Placed
  readonly echoes: readonly Placed[]
}

/** Milliseconds within which two events of different members cannot be ordered by their ages. */
export const UNCERTAINTY_MS = 60

const order: Record<Weight, number> = { own: 0, exit: 1, echo: 2 }

/**
 * The first cause among failures that nobody asked for. The earliest wins; within the uncertainty of the
 * earliest an own exception or an unsolicited signal comes before a plain exit; an echo is the cause only when there
 * is nothing else.
 */
export function judge(failures: readonly Placed[], uncertaintyMs = UNCERTAINTY_MS): Judgement | undefined {
  const causes = failures.filter((failure) => failure.weight !== 'echo')
  const candidates = causes.length > 0 ? causes : failures
  const earliest = Math.min(...candidates.map((failure) => failure.at))
  const [first] = candidates
    .filter((failure) => failure.at <= earliest + uncertaintyMs)
    .sort((a, b) => order[a.weight] - order[b.weight] || a.at - b.at || (a.node ?? -1) - (b.node ?? -1))
  if (!first) return undefined
  const echoes = failures.filter((failure) => !isSame(failure, first)).sort((a, b) => a.at - b.at)
  // The stop brings bare accounts of ends that a plugin has told more of.
  const told = first.casualty.error ? first : candidates.find((one) => one.casualty.error && isSame(one, first))
  return { first: told ? { ...told, at: first.at } : first, echoes }
}

/** Two accounts of one process: what its agent saw of its end, and what a plugin, which may not know its pid, said of it. */
function isSame(one: Placed, other: Placed): boolean {
  const { pid, process, node } = one.casualty
  const { casualty } = other
  const isPid = pid === undefined || casualty.pid === undefined || pid === casualty.pid
  return one === other || (process !== undefined && process === casualty.process && node === casualty.node && isPid)
}

const echoText =
  /connection (?:was )?(?:reset|closed|aborted|refused)|ECONNRESET|ECONNREFUSED|EPIPE|broken pipe|socket hang up|closed by (?:the )?(?:remote|peer)|(?:reset|closed) by peer|lost connection|remote process (?:exited|has (?:failed|exited))|Rendezvous(?:Closed|Connection)Error/i

/** Codes of ours that say only that somebody else has gone. */
const echoCodes = new Set([
  'E_GANG_STOPPED',
  'E_GANG_MEMBER_LOST',
  'E_GANG_REFUSED',
  'E_GANG_UNREACHABLE',
  'E_PEER_CLOSED',
  'E_PEER_ABORTED',
  'E_GANG_COLLECTIVE_TIMEOUT',
])

/** How much an error says about the first cause: a lost connection or a wait for somebody is an echo. */
export function weighError(message: string, code?: string): Weight {
  if (code !== undefined && echoCodes.has(code)) return 'echo'
  return echoText.test(message.split('\n', 3).join(' ')) ? 'echo' : 'own'
}

/** How much an end speaks; only for ends that nobody asked for. */
export const weighEnd = (end: { signal?: string | null }): Weight => (end.signal ? 'own' : 'exit')

const faults = new Set(['SIGSEGV', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGBUS', 'SIGTRAP', 'SIGSYS'])

/** Whose business an end is: a crash or an exit code is the program's, a kill from outside the machine's, a polite one its owner's. */
export function causeOfEnd(end: { signal?: string | null }): Cause {
  if (!end.signal) return 'user'
  // Whoever owns the machine asks first: a scheduler's preemption, a spot host's notice, a shutdown.
  if (end.signal === 'SIGTERM') return 'preempted'
  return faults.has(end.signal) ? 'user' : 'infrastructure'
}

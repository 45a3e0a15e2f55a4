import { type Casualty, GangflowError } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import { ECHO_MS, firstOf, isOwn, UNCERTAINTY_MS } from './blame.js'
import type { LaunchPlan, PlanInput } from './launch-plan.js'
import { type Abort, abortIn, lastLines } from './launcher-words.js'
import type { Rank, Ranks } from './ranks.js'
import type { Settings } from './settings.js'
import { signalName } from './signals.js'
import type { LaunchEnd, LostChannel } from './supervise.js'

/** Everything that is known at the end of a launch. */
export interface LaunchFacts {
  readonly gang: GangContext
  readonly plan: LaunchPlan
  readonly settings: Settings
  readonly input: PlanInput
  readonly ranks: Ranks
  readonly end: LaunchEnd
}

/** Errors of calls, with the account of them for the gang's verdict. */
const casualties = new WeakMap<GangflowError, Casualty>()

/** What a call's error says of who failed, for the verdict when nobody catches it. */
export const casualtyOf = (error: unknown): Casualty | undefined =>
  error instanceof Error ? casualties.get(error as GangflowError) : undefined

/**
 * Why a launch was no success; undefined for one that was: an exit code is not believed without the ranks' own reports.
 * What breaks others comes before what it breaks, unless that had ended half a second before: the launcher that died, a
 * daemon, a rank (blame.ts); then what explains a bad end without any of them: another MPI, an exit code, a wrong world.
 */
export function explain(facts: LaunchFacts): GangflowError | undefined {
  const { ranks, end, plan } = facts
  if (end.stopped === 'late') return late(facts)
  const abort = abortIn(end, ranks)
  const first = firstOf(facts, abort)
  // Those that lost another one end as well, by codes of their own.
  const daemon = end.lost.find(killerOf) ?? end.lost.find(isDeath)
  const launcherDied = end.stopped === undefined && end.result.signal !== null
  // One that was not killed may have crashed over a rank's failure.
  const margin = end.result.signal === 'SIGKILL' ? ECHO_MS : UNCERTAINTY_MS
  if (launcherDied && !isBefore(first?.endedAt, end.endedAt, margin)) return launcherFailed(facts)
  const stray = daemon && killerOf(daemon) ? undefined : ranks.failed.find((rank) => lostItsDaemon(facts, rank))
  if (stray) return daemonGone(facts, stray.node, 'its ranks lost their connection to it')
  if (daemon && !isBefore(first?.endedAt, daemon.at)) return daemonLost(facts, daemon)
  if (first) return rankFailed(facts, first, abort)
  if (launcherDied) return launcherFailed(facts)
  const stranger = ranks.all.find(({ library }) => library !== undefined && isStrange(facts, library))
  if (stranger) return otherMpi(facts, stranger)
  if (end.lost[0]) return daemonLost(facts, end.lost[0])
  if (end.result.exitCode !== 0 && end.stopped !== 'hung') return launcherFailed(facts)
  if (!ranks.wellEnded(plan.np)) return wrongWorld(facts)
  const sized = ranks.all.find(({ size }) => size !== plan.np)
  if (sized) return wrongWorld(facts)
  return undefined
}

const isBefore = (one: number | undefined, other: number, margin = ECHO_MS) => one !== undefined && one < other - margin

/** What Open MPI's ranks exit with when the connection to their daemon broke. */
const LOST_DAEMON = 195

/** The signal that ended a daemon; a shell between says it by a code. */
function killerOf({ channel }: LostChannel): NodeJS.Signals | undefined {
  const { code = null, signal = null } = channel.exit ?? {}
  const name = signal ?? (code !== null && code > 128 && code < 192 ? signalName(code - 128) : undefined)
  return name === 'SIGTERM' || name === 'SIGHUP' || name === 'SIGPIPE' ? undefined : name
}

/** A daemon that was killed, or the connection to it: no answer of its own to a rank's failure. */
const isDeath = (lost: LostChannel): boolean => killerOf(lost) !== undefined || lost.channel.error !== undefined

const isStrange = ({ input }: LaunchFacts, library: string): boolean => {
  const isOpen = /libmpi\.so\.(?:20|40|80)/.test(library)
  return input.implementation.launcher === 'hydra' ? isOpen : /libmpi\.so\.12|libmpich|libmpi_abi/.test(library)
}

function rankFailed(facts: LaunchFacts, rank: Rank, abort: Abort | undefined): GangflowError {
  const { trouble } = rank.end!
  // The launcher may have killed it before it could exit with the code that it gave.
  const itself = abort?.rank === rank.rank
  const { code, signal } = itself ? { code: abort.code, signal: null } : rank.end!
  const how =
    trouble ??
    (itself ? `called MPI_Abort with ${code}` : signal ? `was ended by ${signal}` : `exited with code ${code}`)
  const others = facts.ranks.failed.filter((other) => other !== rank && isOwn(other)).map(({ rank }) => rank)
  return blamed(
    facts,
    {
      code: 'E_MPI_RANK',
      what: `rank ${rank.rank} on node ${rank.node} (${rank.host}) ${trouble ? `failed: ${how}` : how}`,
      fix: `see its last lines, or the log of ${facts.settings.launcher}`,
      node: rank.node,
      host: rank.host,
      rank: rank.rank,
      details: { exitCode: code, signal, lastLines: linesOf(facts, rank), ...(others.length > 0 ? { others } : {}) },
    },
    {
      kind: 'process',
      node: rank.node,
      host: rank.host,
      rank: rank.rank,
      process: `rank${rank.rank}`,
      pid: rank.pid,
      ...(code === null ? {} : { exitCode: code }),
      ...(signal === null ? {} : { signal }),
      lastLines: linesOf(facts, rank),
    },
  )
}

/** Where daemons start one another nobody here sees their channels: their ranks tell, by the code of Open MPI for it. */
function lostItsDaemon({ end, plan, input }: LaunchFacts, { node, end: own }: Rank): boolean {
  const isHere = plan.world.lines[0]!.members.some((member) => member.node === node)
  return input.implementation.launcher !== 'hydra' && own!.code === LOST_DAEMON && !isHere && !end.reached.has(node)
}

function daemonLost(facts: LaunchFacts, lost: LostChannel): GangflowError {
  const { channel } = lost
  const code = channel.exit?.code ?? null
  const signal = killerOf(lost) ?? null
  const how =
    channel.error?.split('\n')[0] ?? (signal ? `it was ended by ${signal}` : `it ended with exit code ${code}`)
  return daemonGone(facts, channel.node, how, code, signal)
}

function daemonGone(
  facts: LaunchFacts,
  node: number,
  how: string,
  code: number | null = null,
  signal: NodeJS.Signals | null = null,
): GangflowError {
  const { host } = facts.gang.roster.entries[node]!
  return blamed(
    facts,
    {
      code: 'E_MPI_DAEMON',
      what: `the daemon of ${facts.plan.implementation} on node ${node} (${host}) was lost: ${how}`,
      fix: `see what ${facts.settings.launcher} said of it in its log; @retry starts the gang anew`,
      node,
      host,
      details: { exitCode: signal ? null : code, signal, lastLines: lastLines(facts.end.result) },
    },
    {
      kind: 'process',
      node,
      host,
      process: 'mpi-daemon',
      ...(code === null || signal ? {} : { exitCode: code }),
      ...(signal ? { signal } : {}),
      lastLines: lastLines(facts.end.result),
    },
  )
}

function launcherFailed(facts: LaunchFacts): GangflowError {
  const { gang, settings, end } = facts
  const { exitCode, signal } = end.result
  const { host } = gang.roster.entries[gang.nodeIndex]!
  return blamed(
    facts,
    {
      code: 'E_MPI_LAUNCHER',
      what: `${settings.launcher} ${signal ? `was ended by ${signal}` : `failed with exit code ${exitCode}`}`,
      fix: `its last lines say why; all it said is in the log of ${settings.launcher}`,
      node: gang.nodeIndex,
      host,
      details: { exitCode, signal, lastLines: lastLines(end.result) },
    },
    {
      kind: 'process',
      node: gang.nodeIndex,
      host,
      process: settings.launcher,
      ...(exitCode === null ? {} : { exitCode }),
      ...(signal === null ? {} : { signal }),
      lastLines: lastLines(end.result),
    },
  )
}

function otherMpi(facts: LaunchFacts, rank: Rank): GangflowError {
  return blamedBody(facts, {
    code: 'E_MPI_WORLD',
    what: `the program uses another MPI (${rank.library}) than ${facts.settings.launcher}, which is ${facts.plan.implementation}: each rank would be alone`,
    fix: 'build or install the program with the MPI that launches it, or name the right installation by `home`',
    node: rank.node,
    host: rank.host,
    rank: rank.rank,
  })
}

function wrongWorld(facts: LaunchFacts): GangflowError {
  const { ranks, plan, settings, end } = facts
  const ended = ranks.all.filter(({ end }) => end).length
  const sizes = [...new Set(ranks.all.map(({ size }) => size))]
  return blamedBody(facts, {
    code: 'E_MPI_WORLD',
    what: `${settings.launcher} ended with exit code ${end.result.exitCode}, but of ${plan.np} ranks ${ranks.all.length} have begun and ${ended} have ended${sizes.some((size) => size !== plan.np) ? `, in worlds of ${sizes.join(', ')}` : ''}`,
    fix: `see the log of ${settings.launcher}: a daemon may have been lost, or its options made another number of ranks`,
    details: { lastLines: lastLines(end.result) },
  })
}

function late(facts: LaunchFacts): GangflowError {
  const { settings, ranks, plan } = facts
  const open = facts.end.running
  const missing = plan.np - ranks.all.length
  return blamedBody(facts, {
    code: 'E_MPI_TIMEOUT',
    what: `the ranks of ${settings.program[0]} ran longer than ${settings.timeoutMs} ms: ${
      missing > 0
        ? `${missing} have not begun`
        : `rank ${open.slice(0, 16).join(', ')}${open.length > 16 ? ', …' : ''} had not ended`
    }`,
    fix: 'give the call a longer `timeout`, or see the log for what they waited for',
    details: { running: open },
  })
}

type Told = ConstructorParameters<typeof GangflowError>[0]

function blamed({ gang }: LaunchFacts, told: Told, casualty: Casualty): GangflowError {
  const error = new GangflowError({ ...told, step: gang.step })
  casualties.set(error, {
    ...casualty,
    error: { message: error.what, code: error.code, ...(error.fix ? { fix: error.fix } : {}) },
  })
  return error
}

/** Nobody's process failed: it is told as the step's own error. */
const blamedBody = ({ gang }: LaunchFacts, told: Told): GangflowError => new GangflowError({ ...told, step: gang.step })

/** What a rank said last; where it said nothing, what the launcher said. */
const linesOf = ({ end }: LaunchFacts, rank: Rank): readonly string[] =>
  rank.lastLines.length > 0 ? rank.lastLines : lastLines(end.result)

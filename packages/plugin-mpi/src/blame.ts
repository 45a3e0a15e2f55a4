import type { LaunchFacts } from './explain.js'
import { type Abort, echoesIn, hostNamed } from './launcher-words.js'
import type { Rank } from './ranks.js'

/** Milliseconds by which the death of a daemon or of the launcher comes before what its ranks make of it. */
export const ECHO_MS = 500

/** It ended by its own doing, and was not merely ended by the launcher because of another. */
export const isOwn = ({ end }: Rank): boolean =>
  end!.signal === null || !/^SIG(?:TERM|KILL|CONT|HUP|PIPE)$/.test(end!.signal)

const echoes = /socket closed|connection (?:reset|closed|refused|lost)|broken pipe|lost communication|LOST_CONNECTION/i

/** What Open MPI's ranks exit with when the connection to another broke; often they say nothing else. */
const SOCKET_CLOSED = 14
/** Milliseconds within which reports of different members cannot be ordered. */
export const UNCERTAINTY_MS = 30

/**
 * The rank that failed by itself, by the first evidence of these that there is:
 *
 * 1. it called MPI_Abort, as the launcher or its own last words say: it is named there;
 * 2. it was killed (SIGKILL) 30 ms or more before the first of kind 3: from outside, since nobody had a reason to yet. Not
 *    with Hydra, which kills the others while the first one is still on its way out;
 * 3. it ended by an exit code or a signal of its own (SIGSEGV, SIGABRT…), and no echo of another one: neither its last
 *    lines, nor the launcher, nor the code that Open MPI gives for it speak of a broken connection. Of several the first
 *    by the ranks' own clocks; with Hydra one within half a second that gave a code, then one that said something, comes
 *    before one that crashed mutely, as MPICH's ranks do when another one leaves;
 * 4. it was killed, and nothing of kind 3 is known. Of several the one on the host for which Hydra says that it ended the
 *    job, else the first;
 * 5. an echo: whom it lost is not known, and it is the first that ended by itself;
 * 6. the first that ended at all.
 *
 * What ends by TERM, KILL, HUP, PIPE or CONT was ended by the launcher, as far as is known, and is nobody's own doing.
 */
export function firstOf({ ranks, end, input, plan }: LaunchFacts, abort: Abort | undefined): Rank | undefined {
  const { failed } = ranks
  const [earliest] = failed
  const aborted = failed.find(({ rank }) => rank === abort?.rank)
  if (!earliest || aborted) return aborted ?? earliest
  const hydra = input.implementation.launcher === 'hydra'
  const told = echoesIn(end)
  const isEcho = ({ rank, lastLines, end }: Rank) =>
    told.has(rank) ||
    echoes.test(lastLines.slice(-8).join('\n')) ||
    (!hydra && end!.code === SOCKET_CLOSED && lastLines.length === 0)
  const own = failed.filter(isOwn)
  const strong = strongest(
    own.filter((rank) => !isEcho(rank)),
    hydra,
  )
  // Nobody had failed before: it was killed from outside. Hydra kills the others while the first one is still on its way out.
  const dead = failed.filter(({ end }) => end!.signal === 'SIGKILL')
  const named = hydra ? hostNamed(end, plan) : []
  const killed = dead.find(({ node }) => named.includes(node)) ?? dead[0]
  const early = (killed?.endedAt ?? 0) < (strong?.endedAt ?? 0) - UNCERTAINTY_MS
  if (killed && (!strong || (!hydra && early))) return killed
  return strong ?? own[0] ?? earliest
}

/**
 * The first; but MPICH's ranks may crash without a word when another one leaves, and be heard of before that one: who
 * gave an exit code, or had something to say, comes before those.
 */
function strongest(ranks: readonly Rank[], hydra: boolean): Rank | undefined {
  const [first] = ranks
  if (!hydra || !first) return first
  const near = ranks.filter(({ endedAt }) => endedAt! < first.endedAt! + ECHO_MS)
  return near.find(({ end }) => end!.signal === null) ?? near.find(({ lastLines }) => lastLines.length > 0) ?? first
}

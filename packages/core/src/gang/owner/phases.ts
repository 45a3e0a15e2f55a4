import { needsOf } from '../needs.js'
import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'
import { late, lengthOf, waitedFor } from './waited-for.js'

/** Milliseconds between two looks. */
const EVERY_MS = 250

/**
 * Watches over the phases that follow the opening of the epoch: set-up and teardown of each member, and, where the step
 * asked for it, that each gets on. Time in which this process itself stood still counts for nobody. Returns how to end it.
 */
export function watchPhases(gang: OwnedGang): () => void {
  let ticked = performance.now()
  const openedAt = performance.now()
  for (const member of gang.members.values()) {
    member.phase = { name: 'setup', since: openedAt }
    member.active = openedAt
    member.at = undefined
  }
  let stood = 0
  let noted = 0
  const timer = setInterval(() => {
    const now = performance.now()
    const stall = now - ticked - EVERY_MS
    ticked = now
    if (stall > gang.timeouts.lease / 2) {
      stood += stall
      for (const member of gang.members.values()) {
        member.phase = { ...member.phase, since: member.phase.since + stall }
        member.active += stall
      }
    }
    if (gang.failures.length > 0 || gang.stop) return
    const bodies = needsOf(gang.attempt.request.step).body === 'control' ? gang.ordered.slice(0, 1) : gang.ordered
    const going = bodies.filter((member) => !member.done)
    setup(gang, going, now - openedAt - stood)
    teardown(gang, going, now)
    progress(gang, going, now)
    noted = straggler(gang, going, now, noted)
  }, EVERY_MS)
  return () => clearInterval(timer)
}

function setup(gang: OwnedGang, going: readonly OwnedMember[], tookMs: number): void {
  const limit = gang.timeouts.setup
  const slow = going.filter(({ phase }) => phase.name === 'setup')
  if (tookMs <= limit || slow.length === 0 || gang.failures.length > 0) return
  late(gang, slow, {
    code: 'E_GANG_SETUP_TIMEOUT',
    what: `the set-up of step '${gang.attempt.request.step.name}' did not end within its timeout of ${lengthOf(limit)}`,
    fix: "see the last lines of those; a longer set-up is @parallel({ timeouts: { setup: '30m' } })",
  })
}

function teardown(gang: OwnedGang, going: readonly OwnedMember[], now: number): void {
  const limit = gang.timeouts.teardown
  const slow = going.filter(({ phase }) => phase.name === 'teardown' && now - phase.since > limit)
  if (slow.length === 0 || gang.failures.length > 0) return
  late(gang, slow, {
    code: 'E_GANG_TEARDOWN_TIMEOUT',
    what: `the teardown of step '${gang.attempt.request.step.name}' did not end within its timeout of ${lengthOf(limit)}`,
    fix: "see the last lines of those; a longer teardown is @parallel({ timeouts: { teardown: '10m' } })",
  })
}

/**
 * Says in the live view whom the others wait for in a collective, once for each, when half of the watchdog's patience is
 * over. Gives the number of the last collective of which that was said.
 */
function straggler(gang: OwnedGang, going: readonly OwnedMember[], now: number, noted: number): number {
  const limit = gang.timeouts.progress
  if (limit === undefined || gang.failures.length > 0) return noted
  const [waiting] = going.filter(({ at, active }) => at?.waits && at.calls > noted && now - active > limit / 2)
  if (!waiting?.at) return noted
  const { calls, waits } = waiting.at
  const behind = going.filter(({ at }) => (at?.calls ?? 0) < calls)
  if (behind.length === 0) return noted
  const seconds = Math.round((now - waiting.active) / 1000)
  const text = `node ${waiting.node} has waited in ${waits} for ${seconds} s; behind: ${waitedFor(gang, behind)}`
  gang.emit({ type: 'line', process: 'gangflow', stream: 'stderr', text })
  return calls
}

/** One that waits in a collective waits for others: the culprit is who does neither that nor anything else. */
function progress(gang: OwnedGang, going: readonly OwnedMember[], now: number): void {
  const limit = gang.timeouts.progress
  if (limit === undefined || gang.failures.length > 0) return
  const still = going.filter(({ phase, active }) => phase.name === 'running' && now - active > limit)
  if (still.length === 0) return
  const idle = still.filter(({ at }) => at?.waits === undefined)
  // All that stand still wait: for somebody who is busy, and may be for longer than the others thought.
  if (idle.length === 0 && still.length < going.length) return
  const culprits = idle.length > 0 ? idle : still
  const others = going.filter((member) => !culprits.includes(member))
  late(gang, culprits, {
    code: 'E_GANG_PROGRESS',
    what: `step '${gang.attempt.request.step.name}' made no progress for ${lengthOf(limit)}: no output, no collective, no progress()${others.length > 0 ? `; meanwhile ${waitedFor(gang, others)}` : ''}`,
    fix: "see where it hangs (py-spy, a debugger); where so long a silence is meant, call current.parallel.progress() or raise @parallel({ timeouts: { progress: '1h' } })",
  })
}

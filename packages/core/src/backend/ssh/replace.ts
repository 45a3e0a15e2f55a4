import { setTimeout as pause } from 'node:timers/promises'
import type { OpenHost } from './host.js'
import type { SshMember, SshPlace } from './member.js'
import type { SshHostPlan } from './plan.js'

export interface ReplaceOptions {
  /** Those that are left; taken from its front. */
  readonly spares: SshHostPlan[]
  /** Milliseconds in which a host that works answers. */
  readonly answerMs: number
  open(plan: SshHostPlan, signal: AbortSignal): Promise<OpenHost>
  start(place: SshPlace): Promise<SshMember>
}

/**
 * An agent in the place of a lost one: on its own host where that still answers, else on the next spare that can be had;
 * undefined when none is left.
 */
export async function replaceOverSsh(
  lost: SshMember,
  as: string,
  { spares, answerMs, open, start }: ReplaceOptions,
  signal: AbortSignal,
): Promise<SshMember | undefined> {
  const { place } = lost
  const member = { ...place.member, memberId: as }
  if (await makeRoom(place, as, answerMs)) return start({ ...place, member })
  let failed: unknown
  for (let spare = spares.shift(); spare; spare = spares.shift()) {
    const plan = { ...spare, members: [member] }
    try {
      return await start({ host: await open(plan, signal), plan, member })
    } catch (error) {
      signal.throwIfAborted()
      failed = error
    }
  }
  if (failed !== undefined) throw failed
  return undefined
}

/** Makes a further member's directories on a host; false where the host does not answer. */
async function makeRoom({ host, member: last }: SshPlace, member: string, answerMs: number): Promise<boolean> {
  const { keeper, places } = host
  const over = new AbortController()
  const work = async () => {
    const child = await keeper.spawn({
      // Named as what is of no interest once it has ended.
      name: `agent-room-${member}`,
      argv: ['mkdir', '-p', '-m', '700', `${places.run}/${member}`, `${places.spool}/${member}`],
      env: {},
      cwd: '/',
      spool: `${places.spool}/${last.memberId}`,
    })
    return (await child.exited).code === 0
  }
  const late = pause(answerMs, false, { signal: over.signal }).catch(() => false)
  try {
    return await Promise.race([work().catch(() => false), late])
  } finally {
    over.abort()
  }
}

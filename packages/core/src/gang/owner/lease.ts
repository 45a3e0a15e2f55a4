import type { OwnedGang } from './gang.js'
import type { OwnedMember } from './members.js'

/** Share of a lease after which a member is asked: time for the answer, on a way that loses some. */
const ASK = 0.6

export interface LeaseOptions {
  readonly leaseMs: number
  /** Leases more for a member whose agent is seen to be alive and not stopped: it wants for a processor. */
  readonly patience: number
  members(): Iterable<OwnedMember>
  /** Members are heard by way of others: who is not is asked itself, before it is late. */
  asks?(): boolean
  /** `silent` said nothing for a lease; its last sign of life was at `since` (`performance.now()`). */
  lapsed(silent: OwnedMember, since: number): void
}

/**
 * Watches for silence. A watcher that was itself stalled for half a lease (stopped, or its machine overloaded)
 * grants a full one before it accuses anybody (D4). Returns how to end it.
 */
export function watchLeases(options: LeaseOptions): () => void {
  const accused = new Set<OwnedMember>()
  let ticked = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    const stalled = now - ticked > options.leaseMs / 2
    ticked = now
    for (const member of options.members()) {
      if (stalled) member.heard = Math.max(member.heard, now)
      if (!member.lease || member.gone || accused.has(member)) continue
      const silence = now - member.aliveAt
      if (silence > options.leaseMs * ASK && !member.lease.isClosed && options.asks?.()) member.lease.event('ask')
      if (silence <= options.leaseMs) continue
      const starved = member.backed.look?.().state === 'runs'
      if (starved && silence <= options.leaseMs * (1 + options.patience)) continue
      accused.add(member)
      options.lapsed(member, member.aliveAt)
    }
  }, options.leaseMs / 10)
  return () => clearInterval(timer)
}

/** Watches over a gang's members: one that says nothing for a lease is lost. Returns how to end it. */
export function watchSilence(gang: OwnedGang): () => void {
  return watchLeases({
    leaseMs: gang.timeouts.lease,
    members: () => gang.members.values(),
    patience: 3,
    asks: () => gang.fanOut !== undefined,
    lapsed: (member, since) => {
      const seconds = Math.round((performance.now() - since) / 100) / 10
      const seen = member.backed.look?.().text ?? `its agent (pid ${member.joining?.pid}) hangs, or its host is gone`
      gang.lose(member, {
        at: since,
        code: 'E_GANG_MEMBER_SILENT',
        summary: `node ${member.node} (${member.host}) has said nothing for ${seconds} s: ${seen}`,
        fix: 'see whether the host is up and not out of memory, and whether somebody stopped the process (SIGSTOP)',
      })
    },
  })
}

import { randomBytes } from 'node:crypto'
import { GangflowError } from '../../errors/base.js'
import type { Arbiter, Ended, Head, Opening, OpenRequest, Succession } from './contract.js'
import { byMemberId, placeMembers } from './order.js'

export interface ArbiterOptions {
  readonly kind: Arbiter['kind']
  readonly succession: Succession
  /** Who acts: a member id, or `launcher`. */
  readonly me: string
  /** Members that an epoch needs at least. */
  readonly minNodes: number
  /** Members of the whole gang. */
  readonly size: number
  /** How often a scheduler has started the whole gang again: an end of a former start is history. Default 0. */
  readonly restart?: number
  /** Settles when the lease of this epoch's control has expired; absent for an owner, who knows. */
  expired?(last: Opening, signal: AbortSignal | undefined): Promise<void>
}

/** The rules that all forms share. `E_GANG_MIN_HALF` where members alone could form two epochs. */
export function openArbiter(options: ArbiterOptions): Arbiter {
  const { kind, succession, me, minNodes, size, expired, restart: started = 0 } = options
  if (kind === 'majority' && minNodes * 2 <= size) throw tooFew(minNodes, size)
  let known: Head | undefined
  const isOver = (head: Head | undefined): boolean => head?.kind === 'end' && (head.restart ?? 0) >= started
  /** Goes on from the latest version known here: versions have no gaps. */
  const head = async (): Promise<Head | undefined> => {
    for (;;) {
      if (isOver(known)) return known
      const next = await succession.read(versionOf(known) + 1)
      if (!next) return known
      known = next
    }
  }
  const current = async (after: number): Promise<Opening | undefined> => {
    const latest = await head()
    if (isOver(latest) || versionOf(latest) !== after) throw fenced(after, latest)
    return latest?.kind === 'open' ? latest : undefined
  }
  return {
    kind,
    head,
    async open({ after, restart, living, hosts, lost, signal }: OpenRequest) {
      const last = await current(after)
      if (living.length < minNodes) throw minLiving(living.length, minNodes)
      if ((restart ?? last?.restart ?? 0) < (last?.restart ?? 0)) throw fenced(after, last)
      if (last && expired && last.control !== me) await expired(last, signal)
      const control = [...living].sort(byMemberId)[0]!
      const placed = last ? placeMembers(last.members, living) : [...living].sort(byMemberId)
      const members = [control, ...placed.filter((id) => id !== control)]
      const opening: Opening = {
        kind: 'open',
        epoch: after + 1,
        restart: restart ?? Math.max(started, last?.restart ?? 0),
        control,
        members,
        ...(hosts ? { hosts: members.map((id) => hosts[id] ?? '') } : {}),
        by: me,
        ...(lost?.length ? { lost } : {}),
        id: draw(),
        at: Date.now(),
      }
      const decided = await succession.decide(after + 1, opening)
      known = decided
      if (decided.id !== opening.id) throw fenced(after, decided)
      return opening
    },
    async end(epoch, record) {
      const restart = (await current(epoch))?.restart ?? started
      const about = { ...(restart > 0 ? { restart } : {}), ...(record ? { record } : {}) }
      const ended: Ended = { kind: 'end', epoch, by: me, ...about, id: draw(), at: Date.now() }
      const decided = await succession.decide(epoch + 1, ended)
      known = decided
      if (decided.id !== ended.id) throw fenced(epoch, decided)
      return ended
    },
  }
}

/** The number under which it is decided: an end has the one after its epoch's. */
export const versionOf = (head: Head | undefined): number =>
  head === undefined ? 0 : head.kind === 'end' ? head.epoch + 1 : head.epoch

const draw = (): string => randomBytes(8).toString('hex')

function fenced(epoch: number, head: Head | undefined): GangflowError {
  const what =
    head === undefined
      ? 'no epoch is open yet'
      : head.kind === 'end'
        ? `'${head.by}' has ended the gang under epoch ${head.epoch}`
        : `epoch ${head.epoch} is open, by '${head.by}' with control '${head.control}'`
  return new GangflowError({
    code: 'E_GANG_FENCED',
    what: `an act for epoch ${epoch} came too late: ${what}`,
    fix: 'whoever was given up ends by itself; nothing to do',
    details: { epoch, ...(head ? { head } : {}) },
  })
}

const minLiving = (living: number, minNodes: number): GangflowError =>
  new GangflowError({
    code: 'E_GANG_MIN_LIVING',
    what: `${living} members are left and the gang needs at least ${minNodes}`,
    fix: 'see the losses; @retry forms the whole gang anew',
  })

const tooFew = (minNodes: number, size: number): GangflowError =>
  new GangflowError({
    code: 'E_GANG_MIN_HALF',
    what: `minNodes ${minNodes} is no more than half of ${size} members: both halves of a network that breaks could go on`,
    fix: `let minNodes be at least ${Math.floor(size / 2) + 1}, or have the gang's epochs decided by its launcher or a datastore`,
  })

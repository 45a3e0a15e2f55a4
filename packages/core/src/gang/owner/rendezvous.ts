import type { BodyState } from '../../body/contract.js'
import { type Method, Peer, WithPayload } from '../../body/peer.js'
import type { RelayServer } from '../../datastore/relay/server.js'
import type { ErrorFacts } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { At } from '../agent/whereabouts.js'
import type { Listener } from '../contract.js'
import { keepDoor } from '../doorkeeper.js'
import type { Hello } from '../handshake.js'
import type { Account, Joining, Late, LiveLine, Report, Work } from '../protocol.js'
import type { OwnedMember } from './members.js'

export interface RendezvousOptions {
  readonly listener: Listener
  readonly key: Uint8Array
  readonly members: ReadonlyMap<string, OwnedMember>
  readonly work: Work
  /** Where the members reach the datastore through the owner. */
  readonly store?: RelayServer | undefined
  /** 0 until the first epoch is open. */
  epoch(): number
  /** The current epoch's, packed: for members whose parent in the tree does not hand it on. */
  formation?(): Uint8Array | undefined
  /** Members of earlier epochs that were given up. */
  readonly former?: ReadonlySet<string>
  joined(member: OwnedMember): void
  reported(member: OwnedMember, report: Report): void
  /** The lease connection ended; it may come back. */
  dropped(member: OwnedMember): void
  /** What a member of the current epoch's tree says of those below it. */
  vouched(member: OwnedMember, late: readonly Late[]): void
  lines(member: OwnedMember, lines: readonly LiveLine[]): void
  state(member: OwnedMember, state: BodyState): void
  progress(member: OwnedMember, data: Json): void
  at(member: OwnedMember, at: At): void
}

/** Where the members of a launcher-owned gang meet: takes them in, refuses all others with a reason. */
export function hostRendezvous(options: RendezvousOptions): void {
  void keepDoor(options.listener, {
    key: options.key,
    admit: (hello) => refusal(options, hello),
    enter: (hello, { stream }) => {
      const member = options.members.get(hello.member)!
      if (hello.purpose === 'data') member.data = dataPeer(options, member, stream)
      else if (hello.purpose === 'store') options.store!.serve(stream)
      else leasePeer(options, member, stream)
    },
  })
}

/** Why a joiner is refused, or nothing. */
export function refusal(
  options: Pick<RendezvousOptions, 'members' | 'former' | 'epoch' | 'store'>,
  hello: Hello,
): ErrorFacts | undefined {
  const member = options.members.get(hello.member)
  const epoch = options.epoch()
  if (!member && options.former?.has(hello.member)) {
    return {
      code: 'E_GANG_EPOCH',
      what: `member '${hello.member}' was given up after epoch ${hello.epoch}; epoch ${epoch} is current`,
      fix: 'it ends by itself; nothing to do',
    }
  }
  if (!member) {
    return {
      code: 'E_GANG_STRANGER',
      what: `'${hello.member}' is no member of this gang`,
      fix: 'it was not started for this attempt',
    }
  }
  if (hello.purpose !== 'lease' && hello.purpose !== 'data' && !(hello.purpose === 'store' && options.store)) {
    return {
      code: 'E_GANG_PROTOCOL',
      what: `the rendezvous takes no '${hello.purpose}' connection`,
      fix: 'use the same version of @gangflow/core everywhere',
    }
  }
  // Of the store's connections a newer one ends the older: there is nothing to be had twice.
  const known = { lease: member.lease, data: member.data }[hello.purpose as string]
  if (known && !known.isClosed) {
    return {
      code: 'E_GANG_DUPLICATE',
      what: `member '${hello.member}' has joined already`,
      fix: 'only one agent may be it',
    }
  }
  // It may come before the first epoch that it takes part in, and again before it has heard of a new one.
  const awaited = hello.epoch === member.formed && (hello.epoch > 0 || member.since === epoch || member.joining)
  if (hello.epoch !== epoch && !awaited) {
    const late = hello.epoch === 0
    return {
      code: late ? 'E_GANG_LATE' : 'E_GANG_EPOCH',
      what: late
        ? `member '${hello.member}' came too late: epoch ${epoch} is open`
        : `member '${hello.member}' speaks of epoch ${hello.epoch}, current is ${epoch}`,
      fix: 'it ends by itself; nothing to do',
    }
  }
  return undefined
}

function leasePeer(
  options: RendezvousOptions,
  member: OwnedMember,
  stream: ConstructorParameters<typeof Peer>[0],
): void {
  const peer: Peer = new Peer(stream, {
    name: `the agent of member '${member.memberId}'`,
    methods: {
      join: (params) => {
        member.joining = params as unknown as Joining
        options.joined(member)
        return options.work as unknown as Json
      },
      aside: async () => (await member.backed.aside?.()) ?? null,
      roster: () => new WithPayload(options.formation?.() ?? new Uint8Array(0)),
    },
    onEvent: (event, data) => {
      member.heard = performance.now()
      if (event === 'beat') {
        answerBeat(member, peer, data)
        const { late, epoch } = data as { late?: Late[]; epoch?: number }
        if (late && epoch === options.epoch()) options.vouched(member, late)
      } else if (event === 'report') options.reported(member, data as unknown as Report)
      else if (event === 'account') member.accounted.resolve(data as unknown as Account)
    },
  })
  member.attach(peer)
  void peer.closed.then(() => {
    if (member.lease === peer) options.dropped(member)
  })
}

/** With the owner's clock, so that the member can say when something happened; one that was given up is told so. */
function answerBeat(member: OwnedMember, peer: Peer, data: Json | undefined): void {
  if (member.givenUp) peer.event('out')
  else peer.event('beat', { sent: (data as { sent?: number } | undefined)?.sent ?? null, owner: performance.now() })
}

function dataPeer(
  options: RendezvousOptions,
  member: OwnedMember,
  stream: ConstructorParameters<typeof Peer>[0],
): Peer {
  // What came over a connection that broke before the answer comes again over the next one.
  const once =
    (take: (data: Json) => void): Method =>
    (params) => {
      const { seq, data } = params as { seq: number; data: Json }
      if (seq <= member.told) return
      member.told = seq
      take(data)
    }
  return new Peer(stream, {
    name: `the data connection of member '${member.memberId}'`,
    methods: {
      lines: once((lines) => options.lines(member, lines as unknown as LiveLine[])),
      state: once((data) => options.state(member, (data as { state: BodyState }).state)),
      progress: once((data) => options.progress(member, data)),
      at: once((at) => options.at(member, at as unknown as At)),
      drained: once(() => member.drained.resolve()),
    },
  })
}

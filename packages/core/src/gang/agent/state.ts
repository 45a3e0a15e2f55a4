import { dirname } from 'node:path'
import type { BodyHost, BodyRun } from '../../body/contract.js'
import { type Deferred, deferred } from '../../body/deferred.js'
import type { Peer } from '../../body/peer.js'
import type { LocalFlow } from '../../compile/package/contract.js'
import type { Keeper } from '../../process/contract.js'
import type { Listener } from '../contract.js'
import { deriveKey } from '../keys.js'
import type { Failure, Formation, Work } from '../protocol.js'
import { launcherRendezvous } from '../rendezvous/by-launcher.js'
import type { Rendezvous } from '../rendezvous/contract.js'
import type { AgentBootstrap } from './bootstrap.js'
import type { Channels } from './channels.js'
import type { Commands } from './commands.js'
import type { DataLink } from './data-link.js'
import { memberEnvironment } from './environment.js'
import type { Place } from './failures.js'
import type { Live } from './live.js'
import type { MemberShell } from './member-shell.js'
import type { MemberStore } from './open-store.js'
import type { Peers } from './peers.js'
import type { Pulses } from './pulses.js'
import type { Relay } from './relay.js'
import type { SealedWays } from './sealed-copy.js'
import type { Services } from './services.js'
import type { RawPort } from './tokens.js'

/** What a member has once it has joined. */
export interface Parts {
  readonly keeper: Keeper
  readonly datastore: MemberStore
  readonly host: BodyHost
  readonly work: Work
  readonly listener: Listener
  readonly raw: RawPort
  readonly data: DataLink
  readonly live: Live
  readonly shell: MemberShell
  /** The native helper's path, where there is one. */
  readonly helper: () => Promise<string | undefined>
}

/** What it has besides once the epoch is open. */
export interface Formed {
  readonly formation: Formation
  /** As it came: handed on to others in the tree. */
  readonly packed: Uint8Array
  readonly relay: Relay | undefined
  readonly commands: Commands
  readonly peers: Peers
  readonly channels: Channels
  readonly pulses: Pulses
  readonly services: Services
  /** Ways for large files; absent where the members are on one host. */
  readonly sealed: SealedWays | undefined
  /** What other members' agents have dialled in this epoch. */
  readonly incoming: Set<{ close(): void }>
}

/** The body of this member, where it has one. */
export interface MemberBody {
  readonly run: BodyRun
  /** The last collective that it called. */
  calls: number
  ended: boolean
  peer?: Peer
}

/** One member's knowledge of itself: filled while it comes up, read by whoever ends it at any point of that. */
export class MemberState {
  readonly boot: AgentBootstrap
  readonly place: { -readonly [K in keyof Place]: Place[K] }
  readonly key: Uint8Array
  /** Where it finds who takes it in. */
  readonly rendezvous: Rendezvous
  /** Aborted with a `StopReason`; another one for each epoch. */
  stop = new AbortController()
  parts: Partial<Parts> = {}
  formed: Formed | undefined
  /** Opens with an epoch, shuts with it: who dials in between waits. */
  gate: Deferred<void> = deferred()
  /** The highest epoch that this member has been told of. */
  seen = 0
  body: MemberBody | undefined
  /** The first failure here, as the owner was told. */
  failure: Failure | undefined
  /** It is going: what ends now is no failure. */
  closing = false
  /** Where the flow is on this host, once it is. */
  flow: LocalFlow | undefined
  keeperGone = false
  /** The owner is dead: what it would have removed is removed here. */
  last = false
  /** `performance.now()` of the first order to stop. */
  stoppedAt = Number.POSITIVE_INFINITY

  constructor(boot: AgentBootstrap) {
    this.boot = boot
    this.place = { memberId: boot.member.memberId, host: boot.member.host, node: -1 }
    this.key = deriveKey(boot.secret, boot.address, 'join')
    this.rendezvous = launcherRendezvous(boot.rendezvous)
  }

  get stopping(): boolean {
    return this.stoppedAt !== Number.POSITIVE_INFINITY
  }

  get env(): Readonly<Record<string, string>> {
    return memberEnvironment(this.boot.member, this.parts.work)
  }

  /** Folder of the flow file: what relative paths mean everywhere (D8). */
  get cwd(): string {
    return this.flow ? dirname(this.flow.file) : '/'
  }
}

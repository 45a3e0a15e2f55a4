import { Peer } from '../../body/peer.js'
import { LogSink } from '../../datastore/logs/sink.js'
import type { Json } from '../../flow/values.js'
import { canCopy } from '../../process/copier.js'
import type { Connection, Transport } from '../contract.js'
import { keepDoor } from '../doorkeeper.js'
import { deriveKey } from '../keys.js'
import type { Formation } from '../protocol.js'
import { FAN_OUT } from '../tree.js'
import { Channels } from './channels.js'
import { Commands } from './commands.js'
import { gangFacts } from './environment.js'
import { missingExecutables } from './executables.js'
import { failureOfAgent, failureOfExecutables } from './failures.js'
import { peerRefusal } from './peer-refusal.js'
import { Peers } from './peers.js'
import { Pulses, type PulsesOptions } from './pulses.js'
import { receiveFile } from './receive-file.js'
import { type Relay, relayOf } from './relay.js'
import type { Reports } from './reports.js'
import { runMemberBody } from './run-body.js'
import { Services } from './services.js'
import type { Formed, MemberState, Parts } from './state.js'
import { declareUndo, standing } from './undo.js'

/** The epoch opens: who is who. Returns at once; what comes of it is reported. */
export function form(
  state: MemberState,
  parts: Parts,
  transport: Transport,
  { formation, packed }: { readonly formation: Formation; readonly packed: Uint8Array },
  reports: Reports,
  vigil: Pick<PulsesOptions, 'ownerAgeMs' | 'claimed' | 'stop'> & { look(): void },
): void {
  const { boot } = state
  const node = formation.roster.entries.findIndex((entry) => entry.memberId === boot.member.memberId)
  state.place.node = node
  const commands = commandsOf(state, parts, formation)
  const size = formation.roster.entries.length
  const { fanOut } = formation
  const relay: Relay | undefined = relayOf(node, size, fanOut, (one) => peers.to(one))
  const services = new Services(
    commands,
    parts.keeper,
    size,
    boot.timeouts.collective,
    parts.shell,
    (undo) => declareUndo(boot.member.directory, standing(undo, { env: parts.work.env, cwd: state.cwd })),
    relay,
  )
  const channels = new Channels(parts.raw)
  const peers = new Peers(transport, state.key, boot.member.memberId, formation, (from, event, data) =>
    state.body?.peer?.event(`gang.${event}`, { ...(data as object), node: from } as Json),
  )
  const pulses = new Pulses({
    node,
    size,
    fanOut: fanOut ?? FAN_OUT,
    tree: fanOut !== undefined,
    leaseMs: boot.timeouts.lease,
    dial: (target) => peers.dial(target, 'pulse', true),
    ownerAgeMs: vigil.ownerAgeMs,
    claimed: vigil.claimed,
    heard: vigil.look,
    stop: vigil.stop,
  })
  const sealed = peers.bare && {
    ...peers.bare,
    helper: async () => {
      const helper = await parts.helper()
      return helper !== undefined && (await canCopy(helper)) ? helper : undefined
    },
    key: (id: string) => deriveKey(boot.secret, boot.address, `copy/${id}`).subarray(0, 16),
  }
  const others = { peers, channels, pulses, services, sealed, incoming: new Set<Connection>() }
  const formed: Formed = { formation, packed, relay, commands, ...others }
  state.formed = formed
  if (state.seen === 0) admitPeers(state, parts)
  state.seen = formation.epoch
  state.gate.resolve()
  const path = state.env['PATH'] ?? ''
  const missing = missingExecutables(parts.work.needs.executables ?? [], path)
  if (missing.length > 0) {
    reports.fail(failureOfExecutables(missing, path, state.place), 0)
    return
  }
  // The control's named ports are held before anybody can ask for them.
  if (node === 0) for (const name of parts.work.needs.ports ?? []) services.hold(name).catch(() => {})
  const begin = () => {
    if (parts.work.needs.body !== 'control' || node === 0) runMemberBody(state, parts, formed, reports)
  }
  if (!parts.work.needs.ssh) return void begin()
  // Its programs find the shell's files from their start.
  parts.shell.open().then(begin, (error: unknown) => {
    if (!state.stopping) reports.fail(failureOfAgent(error, state.place), 0)
  })
}

function commandsOf(state: MemberState, parts: Parts, formation: Formation): Commands {
  const { boot, env, place, cwd } = state
  const { address, member, timeouts } = boot
  const { node } = place
  return new Commands({
    keeper: parts.keeper,
    node,
    host: member.host,
    env: { ...env, ...gangFacts(address, formation, node) },
    cwd,
    spool: member.spool,
    stopGraceMs: timeouts.stopGrace,
    live: (line) => parts.live.line(line),
    log: (process, file) =>
      new LogSink({ store: parts.datastore, target: { address, epoch: formation.epoch, node, process }, file }),
  })
}

/** Lets the other members of the current epoch in, each for what its connection is for. */
function admitPeers(state: MemberState, parts: Parts): void {
  void keepDoor(parts.listener, {
    key: state.key,
    ready: () => state.gate.promise,
    admit: (hello) => peerRefusal(state.formed?.formation, state.seen, hello),
    enter: ({ purpose, member }, connection) => {
      const { stream } = connection
      const { formation, packed, peers, channels, pulses, services, incoming, sealed } = state.formed!
      incoming.add(connection)
      stream.once('close', () => incoming.delete(connection))
      const from = formation.roster.entries.findIndex((entry) => entry.memberId === member)
      if (purpose === 'peer') new Peer(stream, { name: `the agent of node ${from}`, methods: services.methods(from) })
      else if (purpose === 'pulse') pulses.accept(from, stream)
      else if (purpose === 'roster') stream.end(packed)
      else if (purpose === 'copy') {
        const dial = async (node: number) => (await peers.dial(node, 'copy')).stream
        void receiveFile(stream, { node: state.place.node!, cwd: state.cwd, dial, sealed })
      } else channels.arrive(purpose.slice('stream:'.length), from, stream)
    },
  })
}

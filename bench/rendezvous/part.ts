// A gang's members without their programs: real handshakes of the mesh and of the gang, the real join, formation, signs of
// life, barrier and stop, many in a process. `part.mjs owner SIZE PROBE` prints where it listens and, at the end, its
// figures; `part.mjs members FROM TO PROBE` is told that and the secret on stdin, and prints its own.
import { subscribe } from 'node:diagnostics_channel'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { deferred } from '../../packages/core/src/body/deferred.js'
import { Peer } from '../../packages/core/src/body/peer.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { coreVersion } from '../../packages/core/src/errors/version.js'
import type { Json } from '../../packages/core/src/flow/values.js'
import { bringRoster } from '../../packages/core/src/gang/agent/bring-roster.js'
import { DataLink } from '../../packages/core/src/gang/agent/data-link.js'
import { OwnerLink } from '../../packages/core/src/gang/agent/owner-link.js'
import { peerRefusal } from '../../packages/core/src/gang/agent/peer-refusal.js'
import { Peers } from '../../packages/core/src/gang/agent/peers.js'
import { probePeers } from '../../packages/core/src/gang/agent/probe-peers.js'
import { Pulses } from '../../packages/core/src/gang/agent/pulses.js'
import { relayOf } from '../../packages/core/src/gang/agent/relay.js'
import { Services } from '../../packages/core/src/gang/agent/services.js'
import { Vigil } from '../../packages/core/src/gang/agent/vigil.js'
import type { Allocation, GangAttempt, Member } from '../../packages/core/src/gang/contract.js'
import { keepDoor } from '../../packages/core/src/gang/doorkeeper.js'
import { answer } from '../../packages/core/src/gang/handshake.js'
import { deriveKey, drawSecret } from '../../packages/core/src/gang/keys.js'
import { stopGang } from '../../packages/core/src/gang/owner/ending.js'
import { OwnedGang } from '../../packages/core/src/gang/owner/gang.js'
import { openEpoch } from '../../packages/core/src/gang/owner/open-epoch.js'
import { takeIn } from '../../packages/core/src/gang/owner/take-in.js'
import { openWay } from '../../packages/core/src/gang/owner/way.js'
import type { Formation, FormOrder, Joining, ProbeOrder, StopOrder } from '../../packages/core/src/gang/protocol.js'
import { launcherRendezvous } from '../../packages/core/src/gang/rendezvous/by-launcher.js'
import { defaultTimeouts } from '../../packages/core/src/gang/timeouts.js'
import { sshTransport } from '../../packages/core/src/gang/transport/ssh.js'
import { FAN_OUT } from '../../packages/core/src/gang/tree.js'
import { openMesh } from '../../packages/core/src/ssh/mesh.js'

const address = { flow: 'Bench', run: '1', step: 'fit', task: '1', attempt: 0 }
const long = 600_000
const timeouts = { ...defaultTimeouts, join: long, lease: long / 4 }
/** Milliseconds after the barrier until the ways between members stand, and for which they rest then. */
const SETTLED_MS = 5_000
const RESTED_MS = 5_000
const say = (facts: object) => process.stdout.write(`${JSON.stringify(facts)}\n`)

let messages = 0
const send = Peer.prototype.send
Peer.prototype.send = function (this: Peer, ...words) {
  messages += 1
  send.apply(this, words)
}
/** Bytes on the connections that this process took; what others took of it is theirs to count. */
const taken: Socket[] = []
subscribe('net.server.socket', (event) => void taken.push((event as { socket: Socket }).socket))
const figures = () => {
  const { user, system } = process.cpuUsage()
  const bytes = taken.reduce((sum, socket) => sum + socket.bytesRead + socket.bytesWritten, 0)
  return { cpuMs: (user + system) / 1000, messages, connections: taken.length, bytes }
}

async function own(size: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'gf-bench-'))
  const datastore = await openDatastore(folder)
  const secret = drawSecret()
  const derive = (label: string) => deriveKey(secret, address, label)
  const way = await openWay('ssh', folder, derive)
  const member = (index: number): Member => ({
    memberId: `m${index}`,
    host: `host${index}`,
    agentExited: new Promise(() => {}),
    reap: async () => {},
  })
  const attempt = {
    backend: { name: 'bench', transport: 'ssh' },
    request: { address, size, resources: {}, step: { name: 'fit', plugins: [] } },
    compiled: { file: '/f', bundle: '/b', core: '/c' },
    assignment: {},
    env: {},
    datastore,
    signal: new AbortController().signal,
    emit() {},
  } as unknown as GangAttempt
  const gang = new OwnedGang(attempt, timeouts)
  const members = Array.from({ length: size }, (_, index) => member(index))
  takeIn(gang, { members, release: async () => {} } as unknown as Allocation, way.listener, secret, undefined)
  const begun = performance.now()
  let joined = 0
  const watch = setInterval(() => {
    if (joined === 0 && gang.ordered.every((one) => one.joining)) joined = performance.now() - begun
  }, 20)
  say({ rendezvous: way.listener.address, secret: Buffer.from(secret).toString('hex') })
  if (!(await openEpoch(gang))) throw new Error(JSON.stringify(gang.failures[0]))
  const formed = performance.now() - begun
  await gang.until(() => gang.ordered.every(({ done }) => done))
  clearInterval(watch)
  const met = performance.now() - begun
  const start = figures()
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS))
  const settled = figures()
  // What it costs that members say once a second that they live.
  await new Promise((resolve) => setTimeout(resolve, RESTED_MS))
  const before = figures()
  const aSecond = (one: 'cpuMs' | 'messages') => (before[one] - settled[one]) / (RESTED_MS / 1000)
  const rest = { cpuMs: aSecond('cpuMs'), messages: aSecond('messages') }
  const at = Date.now()
  gang.stop = { why: 'it is measured', cause: 'cancelled', graceMs: timeouts.stopGrace }
  await stopGang(gang)
  const after = figures()
  const stop = {
    at,
    tookMs: Date.now() - at,
    messages: after.messages - before.messages,
    cpuMs: after.cpuMs - before.cpuMs,
  }
  say({ joined, formed, met, rest, stop, ...start })
  setTimeout(() => {
    rmSync(folder, { recursive: true, force: true })
    process.exit()
  }, 500)
}

interface Told {
  readonly rendezvous: string
  readonly secret: string
}

/** So many join at once of each process: they share its one thread, where members have a host each. */
const TOGETHER = 32
const queue: (() => void)[] = []
let joining = 0
async function turn(): Promise<void> {
  while (joining >= TOGETHER) await new Promise<void>((resolve) => queue.push(resolve))
  joining += 1
}
function left(): void {
  joining -= 1
  queue.shift()?.()
}

/** Formations that a process of many members keeps once; each still fetches and unpacks its own. */
const kept = new Map<number, Formation>()
/** When the order to stop came, to each. */
const stopped: number[] = []

/** One member: lease and data connection, join, formation, one barrier, and the stop. Settles with the barrier. */
async function be(memberId: string, { rendezvous, secret }: Told, probe: boolean): Promise<void> {
  const bytes = new Uint8Array(Buffer.from(secret, 'hex'))
  const derive = (label: string) => deriveKey(bytes, address, label)
  const key = derive('join')
  const mesh = openMesh({ memberId, derive })
  const transport = sshTransport(mesh, { bind: ['127.0.0.1'] })
  const listener = await transport.listen(memberId)
  const met = deferred<void>()
  let pulses: Pulses | undefined
  let vigil: Vigil | undefined
  const halt = (order: StopOrder) => {
    pulses?.stop(order)
    pulses = undefined
    stopped.push(Date.now())
    return { stopped: [], complaints: [], killed: [] }
  }
  const owner: OwnerLink = new OwnerLink({
    transport,
    rendezvous: launcherRendezvous(rendezvous),
    key,
    memberId,
    startMs: long,
    leaseMs: long / 4,
    methods: {
      probe: async (params) =>
        probe ? ((await probePeers(mesh, params as unknown as ProbeOrder)) as unknown as Json) : [],
      form: async (order, packed) => {
        const brought = await bringRoster(order as unknown as FormOrder, packed, {
          transport,
          key,
          memberId,
          leaseMs: defaultTimeouts.lease,
          ask: (epoch) => owner.payload('roster', { epoch }, long),
        })
        const { epoch } = brought.formation
        kept.set(epoch, kept.get(epoch) ?? brought.formation)
        form(kept.get(epoch)!, brought.packed).then(met.resolve, met.reject)
      },
      stop: (order) => halt(order as unknown as StopOrder) as unknown as Json,
    },
    heard: () => pulses?.pass(),
    askedFor: () => vigil?.asked(),
    lost: (why) => {
      process.stderr.write(`member ${memberId}: the launcher ${why}\n`)
      process.exit(1)
    },
  })
  const form = async (formation: Formation, packed: Uint8Array) => {
    owner.epoch = formation.epoch
    const size = formation.roster.entries.length
    const node = formation.roster.entries.findIndex((one) => one.memberId === memberId)
    const { fanOut } = formation
    const peers = new Peers(transport, key, memberId, formation, () => {})
    const relay = relayOf(node, size, fanOut, (one) => peers.to(one))
    const nothing = {} as never
    const services = new Services(nothing, nothing, size, long, nothing, () => {}, relay)
    pulses = new Pulses({
      node,
      size,
      fanOut: fanOut ?? FAN_OUT,
      tree: fanOut !== undefined,
      leaseMs: defaultTimeouts.lease,
      dial: (target) => peers.dial(target, 'pulse', true),
      ownerAgeMs: () => performance.now() - owner.aliveAt,
      claimed: (at) => {
        owner.claimedAt = Math.max(owner.claimedAt, at)
      },
      heard: () => {},
      stop: (order) => owner.tell('account', halt(order) as unknown as Json),
    })
    void keepDoor(listener, {
      key,
      admit: (hello) => peerRefusal(formation, formation.epoch, hello),
      enter: ({ member, purpose }, { stream }) => {
        const from = formation.roster.entries.findIndex((one) => one.memberId === member)
        if (purpose === 'roster') stream.end(packed)
        else if (purpose === 'pulse') pulses?.accept(from, stream)
        else new Peer(stream, { name: member, methods: services.methods(from) })
      },
    })
    const part = { op: 'barrier' as const, name: '', seq: 1, head: null, timeoutMs: long }
    if (relay) await relay.take([{ ...part, node, bytes: new Uint8Array(0) }])
    else await (await peers.to(0)).call('collective', part, { timeoutMs: long })
  }
  await turn()
  await owner.open()
  const data = new DataLink({
    leaseMs: long,
    dial: async (limitMs) => {
      const signal = AbortSignal.timeout(limitMs)
      const { stream } = await transport.connect(rendezvous, { signal })
      await answer(stream, key, { member: memberId, purpose: 'data', epoch: 0 }, signal)
      return new Peer(stream, { name: 'data' })
    },
  })
  await data.open(long)
  const self: Joining = {
    memberId,
    pid: process.pid,
    host: `host-${memberId}.cluster.example.org`,
    addresses: ['127.0.0.1'],
    links: { '127.0.0.1': 'lo' },
    slots: 8,
    gpus: ['0', '1', '2', '3', '4', '5', '6', '7'],
    listens: listener.address,
    version: coreVersion,
  }
  await owner.call('join', self as unknown as Json, long, 'the owner')
  left()
  vigil = new Vigil({
    owner,
    leaseMs: defaultTimeouts.lease,
    launcherMs: long,
    joinMs: long,
    patience: 1,
    pulses: () => pulses,
    failure: () => undefined,
    // Many members share a thread here: who is late is not gone.
    lost: () => {},
  })
  await met.promise
  owner.report({ kind: 'done', ageMs: 0, completion: { artifacts: {} } })
}

const [role, first, second, probed] = process.argv.slice(2)
if (role === 'owner') await own(Number(first))
else {
  for await (const line of createInterface({ input: process.stdin })) {
    const told = JSON.parse(line) as Told
    const ids = Array.from({ length: Number(second) - Number(first) }, (_, at) => `m${Number(first) + at}`)
    await Promise.all(ids.map((id) => be(id, told, probed === 'probe')))
    const met = figures()
    while (stopped.length < ids.length) await new Promise((resolve) => setTimeout(resolve, 20))
    say({ ...met, stoppedAt: Math.max(...stopped) })
    break
  }
  setInterval(() => {}, long)
}

// A gang's members without their programs: real handshakes of the mesh and of the gang, the real join, formation and
// barrier, many in a process. `part.mjs owner SIZE PROBE` prints where it listens and, at the end, its figures;
// `part.mjs members FROM TO` is told that and the secret on stdin, and prints its own.
import { subscribe } from 'node:diagnostics_channel'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { deferred } from '../../packages/core/src/body/deferred.js'
import { Peer, WithPayload } from '../../packages/core/src/body/peer.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { coreVersion } from '../../packages/core/src/errors/version.js'
import type { Json } from '../../packages/core/src/flow/values.js'
import { Collectives, type Part } from '../../packages/core/src/gang/agent/collectives.js'
import { DataLink } from '../../packages/core/src/gang/agent/data-link.js'
import { OwnerLink } from '../../packages/core/src/gang/agent/owner-link.js'
import { peerRefusal } from '../../packages/core/src/gang/agent/peer-refusal.js'
import { Peers } from '../../packages/core/src/gang/agent/peers.js'
import { probePeers } from '../../packages/core/src/gang/agent/probe-peers.js'
import type { Allocation, GangAttempt, Member } from '../../packages/core/src/gang/contract.js'
import { keepDoor } from '../../packages/core/src/gang/doorkeeper.js'
import { unpackFormation } from '../../packages/core/src/gang/formation.js'
import { answer } from '../../packages/core/src/gang/handshake.js'
import { deriveKey, drawSecret } from '../../packages/core/src/gang/keys.js'
import { OwnedGang } from '../../packages/core/src/gang/owner/gang.js'
import { openEpoch } from '../../packages/core/src/gang/owner/open-epoch.js'
import { takeIn } from '../../packages/core/src/gang/owner/take-in.js'
import { openWay } from '../../packages/core/src/gang/owner/way.js'
import type { Formation, Joining, ProbeOrder } from '../../packages/core/src/gang/protocol.js'
import { launcherRendezvous } from '../../packages/core/src/gang/rendezvous/by-launcher.js'
import { defaultTimeouts } from '../../packages/core/src/gang/timeouts.js'
import { sshTransport } from '../../packages/core/src/gang/transport/ssh.js'
import { openMesh } from '../../packages/core/src/ssh/mesh.js'

const address = { flow: 'Bench', run: '1', step: 'fit', task: '1', attempt: 0 }
const long = 600_000
const timeouts = { ...defaultTimeouts, join: long, lease: long / 4 }
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

async function own(size: number, probe: boolean): Promise<void> {
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
    // Where members do not look for each other's addresses, the gang takes them for members of one host.
    backend: { name: 'bench', transport: probe ? 'ssh' : 'unix' },
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
  say({ joined, formed, met: performance.now() - begun, ...figures() })
  for (const one of gang.ordered) one.lease?.event('over')
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

/** One member: lease and data connection, join, formation, one barrier at the control, then it is done. */
async function be(memberId: string, { rendezvous, secret }: Told): Promise<void> {
  const bytes = new Uint8Array(Buffer.from(secret, 'hex'))
  const derive = (label: string) => deriveKey(bytes, address, label)
  const key = derive('join')
  const mesh = openMesh({ memberId, derive })
  const transport = sshTransport(mesh, { bind: ['127.0.0.1'] })
  const listener = await transport.listen(memberId)
  const met = deferred<void>()
  const owner: OwnerLink = new OwnerLink({
    transport,
    rendezvous: launcherRendezvous(rendezvous),
    key,
    memberId,
    startMs: long,
    leaseMs: long / 4,
    methods: {
      probe: async (params) => (await probePeers(mesh, params as unknown as ProbeOrder)) as unknown as Json,
      form: (_, packed) => void unpackFormation(packed).then(form).then(met.resolve, met.reject),
    },
    lost: () => process.exit(),
  })
  const form = async (formation: Formation) => {
    owner.epoch = formation.epoch
    const size = formation.roster.entries.length
    if (formation.roster.control === memberId) serveBarrier(formation)
    const peers = new Peers(transport, key, memberId, formation, () => {})
    await turn()
    const control = await peers.to(0)
    left()
    const part = { op: 'barrier', name: '', seq: 1, head: null, timeoutMs: long }
    await control.call('collective', part, { timeoutMs: long })
    if (size < 1) throw new Error('a roster of nobody')
  }
  const serveBarrier = (formation: Formation) => {
    const collectives = new Collectives(formation.roster.entries.length)
    const places = new Map(formation.roster.entries.map((one) => [one.memberId, one.node]))
    void keepDoor(listener, {
      key,
      admit: (hello) => peerRefusal(formation, formation.epoch, hello),
      enter: ({ member }, { stream }) =>
        void new Peer(stream, {
          name: member,
          methods: {
            collective: async (params, payload, { signal }) => {
              const part = { ...(params as unknown as Part), node: places.get(member)!, bytes: payload }
              await collectives.take(part, signal)
              return new WithPayload(new Uint8Array(0), [])
            },
          },
        }),
    })
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
  await met.promise
  owner.report({ kind: 'done', ageMs: 0, completion: { artifacts: {} } })
}

const [role, first, second] = process.argv.slice(2)
if (role === 'owner') await own(Number(first), second === 'probe')
else {
  for await (const line of createInterface({ input: process.stdin })) {
    const told = JSON.parse(line) as Told
    const ids = Array.from({ length: Number(second) - Number(first) }, (_, at) => `m${Number(first) + at}`)
    await Promise.all(ids.map((id) => be(id, told)))
    say(figures())
    break
  }
  setInterval(() => {}, long)
}

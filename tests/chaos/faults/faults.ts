import type { Cause } from '../../../packages/core/src/errors/verdict.js'
import type { TestHost } from '../../hosts/host.js'
import type { TestHosts } from '../../hosts/index.js'
import { sleep } from '../../support/gang.js'
import { kill, type Phase, type Place, type Scene } from './scene.js'

/** What is awaited of a gang to which a fault was done. */
export interface Expected {
  /** Milliseconds until every process of the user has ended, counted from the fault; of leases, and besides. */
  readonly bound?: { readonly leases: number; readonly ms: number }
  readonly cause?: Cause
  readonly codes?: readonly string[]
  /** Of the first casualty. */
  readonly kind?: string
  /** The verdict names the node that the fault was done to. */
  readonly node?: number
  readonly exit: number | null
}

export interface Fault {
  readonly id: string
  /** For people: what is done to whom. */
  readonly what: string
  readonly places: readonly Place[]
  readonly phases: readonly Phase[]
  /** Run by CI; the others by `npm run faults`. */
  readonly ci?: readonly `${Place} ${Phase}`[]
  readonly expected: Expected
  /** Seconds for which the step works, where it is to end well. */
  readonly works?: number
  readonly timeouts?: Readonly<Record<string, number>>
  /** What its step does meanwhile. */
  readonly mode?: 'writes'
  /** Members; default 2. */
  readonly size?: number
  /** Hosts that have such addresses alone. */
  readonly network?: 'ipv6'
  /** The datastore lies on a disk that hangs, which has so many seconds. */
  readonly hangs?: number
  /** Parts a host from the launcher. */
  readonly cuts?: boolean
  /** The node that is stopped before it has joined, for good. */
  readonly holds?: number
  /** Before the launcher is started. */
  prepare?(hosts: readonly TestHost[]): Promise<void>
  inject(scene: Scene, hosts: readonly TestHost[], set: TestHosts): Promise<void> | void
  /** After the gang has ended. */
  heal?(scene: Scene, hosts: readonly TestHost[]): Promise<void>
}

const death = { leases: 0, ms: 1_500 } as const
const silence = { leases: 1, ms: 1_500 } as const
const infrastructure = { cause: 'infrastructure', exit: 3 } as const
const both = ['local', 'ssh'] as const
const living = ['setup', 'body', 'teardown'] as const
const whole = ['join', ...living] as const
/** The member that the fault is done to, where it is not the control. */
const T = 1

const stop = (pid: number) => kill(pid, 'SIGSTOP')
const slay = (pid: number) => kill(pid, 'SIGKILL')

export const faults: readonly Fault[] = [
  {
    id: 'kill-rank',
    what: 'SIGKILL of a rank',
    places: both,
    phases: ['body'],
    ci: ['local body', 'ssh body'],
    expected: { ...infrastructure, bound: death, kind: 'process', node: T },
    inject: (scene) => slay(scene.member(T).rank!.pid),
  },
  {
    id: 'kill-body',
    what: 'SIGKILL of a body',
    places: both,
    phases: living,
    ci: ['local teardown', 'ssh body'],
    expected: { ...infrastructure, bound: death, kind: 'body', node: T },
    inject: (scene) => slay(scene.member(T).body!.pid),
  },
  {
    id: 'kill-agent',
    what: 'SIGKILL of an agent',
    places: both,
    phases: whole,
    ci: ['local join', 'ssh teardown'],
    expected: { ...infrastructure, bound: death, kind: 'agent', codes: ['E_GANG_AGENT_LOST'] },
    inject: (scene) => slay(scene.member(T).agent.pid),
  },
  {
    id: 'kill-keeper',
    what: "SIGKILL of a member's keeper",
    places: both,
    phases: living,
    expected: { ...infrastructure, bound: death, kind: 'keeper', node: T, codes: ['E_GANG_KEEPER_LOST'] },
    inject: (scene) => slay(scene.member(T).keeper!.pid),
  },
  {
    id: 'kill-control',
    what: 'SIGKILL of the control (its agent)',
    places: both,
    phases: living,
    expected: { ...infrastructure, bound: death, kind: 'agent', node: 0, codes: ['E_GANG_AGENT_LOST'] },
    inject: (scene) => slay(scene.member(0).agent.pid),
  },
  {
    id: 'kill-launcher',
    what: 'SIGKILL of the launcher',
    places: both,
    phases: whole,
    ci: ['ssh body', 'local teardown'],
    expected: { bound: silence, exit: null },
    inject: (scene) => void scene.child.kill('SIGKILL'),
  },
  {
    id: 'kill-launcher-control',
    what: 'SIGKILL of launcher and control at once',
    places: both,
    phases: living,
    ci: ['ssh body'],
    expected: { bound: silence, exit: null },
    inject: (scene) => {
      const { agent } = scene.member(0)
      scene.child.kill('SIGKILL')
      slay(agent.pid)
    },
  },
  {
    id: 'stop-agent',
    what: 'SIGSTOP of an agent',
    places: both,
    phases: living,
    ci: ['local body', 'ssh body'],
    expected: { ...infrastructure, bound: silence, kind: 'agent', node: T, codes: ['E_GANG_MEMBER_SILENT'] },
    inject: (scene) => stop(scene.member(T).agent.pid),
  },
  {
    id: 'stop-control',
    what: 'SIGSTOP of the control (its agent)',
    places: both,
    phases: living,
    expected: { ...infrastructure, bound: silence, kind: 'agent', node: 0, codes: ['E_GANG_MEMBER_SILENT'] },
    inject: (scene) => stop(scene.member(0).agent.pid),
  },
  {
    id: 'stop-rank',
    what: 'SIGSTOP of a rank for two leases: it goes on',
    places: both,
    phases: ['body'],
    works: 4,
    expected: { exit: 0 },
    inject: async (scene) => {
      const { rank } = scene.member(T)
      stop(rank!.pid)
      await sleep(scene.timeouts['lease']! * 2)
      kill(rank!.pid, 'SIGCONT')
    },
  },
  {
    id: 'stop-launcher',
    what: 'SIGSTOP of the launcher for five leases, while the gang ends its work: the run is done',
    places: both,
    phases: ['body'],
    ci: ['local body'],
    works: 4,
    expected: { exit: 0 },
    inject: async (scene) => {
      stop(scene.child.pid!)
      await sleep(scene.timeouts['lease']! * 5)
      kill(scene.child.pid!, 'SIGCONT')
    },
  },
  {
    id: 'stop-launcher-minute',
    what: 'SIGSTOP of the launcher for a minute, with the timeouts as they are by default: the run is done',
    places: both,
    phases: ['body'],
    works: 4,
    timeouts: { lease: 5_000, linger: 30_000 },
    expected: { exit: 0 },
    inject: async (scene) => {
      stop(scene.child.pid!)
      await sleep(60_000)
      kill(scene.child.pid!, 'SIGCONT')
    },
  },
  {
    id: 'suspend-host',
    cuts: true,
    what: 'a host suspended (all its processes) for two leases',
    places: ['ssh'],
    phases: ['body'],
    ci: ['ssh body'],
    expected: {
      ...infrastructure,
      bound: { leases: 2, ms: 3_000 },
      kind: 'agent',
      node: T,
      codes: ['E_GANG_MEMBER_SILENT'],
    },
    inject: async (scene, hosts) => {
      const { agent } = scene.member(T)
      const pids = scene.processes.look().all.filter(({ space }) => space === agent.space)
      for (const { pid } of pids) stop(pid)
      await hosts[T]!.must(['sh', '-c', 'kill -STOP $(pgrep sshd) 2>/dev/null || :'])
      await sleep(scene.timeouts['lease']! * 2)
      await hosts[T]!.must(['sh', '-c', 'kill -CONT $(pgrep sshd) 2>/dev/null || :'])
      for (const { pid } of pids) kill(pid, 'SIGCONT')
    },
  },
  {
    id: 'link-down',
    cuts: true,
    what: "a host's cable pulled",
    places: ['ssh'],
    phases: living,
    ci: ['ssh body'],
    expected: { ...infrastructure, bound: silence, kind: 'agent', node: T, codes: ['E_GANG_MEMBER_SILENT'] },
    inject: (_, hosts) => hosts[T]!.cable('down'),
  },
  {
    id: 'link-down-control',
    cuts: true,
    what: "the control's cable pulled",
    places: ['ssh'],
    phases: ['body'],
    expected: { ...infrastructure, bound: silence, kind: 'agent', node: 0, codes: ['E_GANG_MEMBER_SILENT'] },
    inject: (_, hosts) => hosts[0]!.cable('down'),
  },
  {
    id: 'one-way-in',
    cuts: true,
    what: 'a host that sends and hears nothing',
    places: ['ssh'],
    phases: ['body', 'teardown'],
    ci: ['ssh body'],
    expected: {
      ...infrastructure,
      bound: { leases: 1.5, ms: 2_500 },
      kind: 'agent',
      node: T,
      codes: ['E_GANG_MEMBER_SILENT'],
    },
    inject: (_, hosts) => hosts[T]!.impair({ loss: 1 }, 'in'),
  },
  {
    id: 'one-way-out',
    cuts: true,
    what: 'a host that hears and whom nobody hears',
    places: ['ssh'],
    phases: ['body', 'teardown'],
    expected: { ...infrastructure, bound: silence, kind: 'agent', node: T, codes: ['E_GANG_MEMBER_SILENT'] },
    inject: (_, hosts) => hosts[T]!.impair({ loss: 1 }, 'out'),
  },
  {
    id: 'parted',
    what: 'launcher and control on one side, two members on the other',
    cuts: true,
    size: 3,
    places: ['ssh'],
    phases: ['body'],
    expected: { ...infrastructure, bound: silence, kind: 'agent', codes: ['E_GANG_MEMBER_SILENT'] },
    inject: (_, __, set) => set.partition(['launcher', 'host1'], ['host2', 'host3']),
  },
  {
    id: 'launcher-cut',
    what: 'the launcher cut off from all hosts: they go on for its timeout (6 s here), and end',
    cuts: true,
    places: ['ssh'],
    phases: ['body'],
    timeouts: { launcher: 6_000 },
    expected: { ...infrastructure, bound: { leases: 0, ms: 8_500 }, kind: 'agent', codes: ['E_GANG_MEMBER_SILENT'] },
    inject: (_, __, set) => set.partition(['launcher'], ['host1', 'host2', 'host3']),
  },
  {
    id: 'link-flaps',
    what: "a host's cable pulled for half a lease, twice: it goes on",
    places: ['ssh'],
    phases: ['body'],
    works: 8,
    timeouts: { lease: 5_000 },
    expected: { exit: 0 },
    inject: async (scene, hosts) => {
      for (let turn = 0; turn < 2; turn += 1) {
        await hosts[T]!.cable('down')
        await sleep(scene.timeouts['lease']! / 2)
        await hosts[T]!.cable('up')
        await sleep(scene.timeouts['lease']! / 2)
      }
    },
  },
  {
    id: 'lossy',
    what: '200 ms of delay and 5 % loss at a host: it goes on',
    places: ['ssh'],
    phases: ['body'],
    ci: ['ssh body'],
    works: 12,
    timeouts: { lease: 5_000 },
    expected: { exit: 0 },
    inject: (_, hosts) => hosts[T]!.impair({ delay: 100, loss: 0.05 }),
  },
  {
    id: 'kill-rank-late',
    what: 'SIGKILL of a rank behind 200 ms of delay',
    places: ['ssh'],
    phases: ['body'],
    ci: ['ssh body'],
    expected: { ...infrastructure, bound: { leases: 0, ms: 2_500 }, kind: 'process', node: T },
    inject: async (scene, hosts) => {
      const { rank } = scene.member(T)
      await hosts[T]!.impair({ delay: 200 })
      slay(rank!.pid)
    },
  },
  {
    id: 'disk-full',
    what: 'the disk of a host full, while its step writes',
    places: ['ssh'],
    phases: ['body'],
    ci: ['ssh body'],
    mode: 'writes',
    // It has 8 MiB left, and writes a dozen a second.
    expected: { ...infrastructure, bound: { leases: 0, ms: 4_000 }, kind: 'body', node: T },
    inject: (_, hosts) => hosts[T]!.fillDisk(8 << 10),
    heal: (_, hosts) => hosts[T]!.freeDisk(),
  },
  {
    id: 'datastore-hangs',
    what: 'the disk of the datastore hangs (4 s are waited for it here) while the step ends its work',
    places: both,
    phases: ['body'],
    ci: ['local body'],
    works: 1,
    hangs: 4,
    timeouts: { launcher: 4_000, linger: 2_000 },
    expected: { ...infrastructure, bound: { leases: 0, ms: 8_000 }, kind: 'body', codes: ['E_DATASTORE_TIMEOUT'] },
    inject: () => {},
  },
  {
    id: 'never-joins',
    what: 'a member that never joins',
    places: both,
    phases: ['join'],
    ci: ['local join'],
    timeouts: { join: 5_000, lease: 20_000 },
    expected: { cause: 'timeout', exit: 4, codes: ['E_GANG_START_TIMEOUT'] },
    holds: T,
    inject: () => {},
  },
  {
    id: 'clock-off',
    what: 'a wall clock one hour off: it goes on',
    places: ['ssh'],
    phases: ['body'],
    ci: ['ssh body'],
    works: 1,
    expected: { exit: 0 },
    prepare: (hosts) => hosts[T]!.shiftClock(3600),
    inject: () => {},
    heal: (_, hosts) => hosts[T]!.shiftClock(0),
  },
  {
    id: 'ipv6-only',
    what: 'hosts with IPv6 addresses alone: it goes on',
    network: 'ipv6',
    places: ['ssh'],
    phases: ['body'],
    ci: ['ssh body'],
    works: 1,
    expected: { exit: 0 },
    inject: () => {},
  },
  {
    id: 'equal-names',
    what: 'two hosts of one name that nobody can resolve: it goes on',
    places: ['ssh'],
    phases: ['body'],
    ci: ['ssh body'],
    works: 1,
    expected: { exit: 0 },
    prepare: async (hosts) => {
      for (const host of hosts) await host.rename('twin')
    },
    inject: () => {},
    heal: async (_, hosts) => {
      for (const host of hosts) await host.rename(host.name)
    },
  },
]

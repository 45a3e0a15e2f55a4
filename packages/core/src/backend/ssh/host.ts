import { randomBytes } from 'node:crypto'
import type { HostRuntime } from '../../compile/host-runtime/contract.js'
import { runtimeFiles } from '../../compile/host-runtime/runtime-files.js'
import type { HostPlatform } from '../../compile/package/host-platform.js'
import { GangflowError } from '../../errors/base.js'
import { keeperOver } from '../../process/keeper.js'
import type { NativeKeeper } from '../../process/native.js'
import { Aside } from './aside.js'
import { deliver } from './deliver.js'
import type { HostFacts } from './facts.js'
import type { HostSpec } from './hosts.js'
import type { SshHostPlan } from './plan.js'
import { removeSocket } from './remove-socket.js'
import { rendezvousOn, socketOf } from './rendezvous.js'
import { ConnectionFailed, type HostPlaces, HostSession } from './session.js'
import { type SshWay, sshArgv } from './ssh-argv.js'
import { sweep } from './sweep.js'

/** Milliseconds before the second attempt to log in; doubled for each further one up to the longest, with a random part. */
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 4_000
const ATTEMPTS = 6
/** Where sshd takes only so many at once: the others' logins may be slow ones. */
const ATTEMPTS_WHERE_BUSY = 10
/** Milliseconds that a host's keeper has for its end, besides the grace of what it ends. */
const CLOSE_MS = 4_000

export interface HostOrder {
  /** Told what is being waited for. */
  readonly note?: (text: string) => void
  readonly plan: SshHostPlan
  readonly way: SshWay
  /** Folder of the core whose agents are to run there. */
  readonly core: string
  /** Of everything that runs there: the keeper's marker. */
  readonly mark: string
  /** The launcher's address, as this machine has it; a unix socket is in it, which is forwarded to the host. */
  readonly rendezvous: string
  /** Milliseconds of silence of this process after which the host's keeper ends everything. */
  readonly leaseMs: number
  readonly graceMs: number
}

/** Absolute paths on the host. */
export interface HostPrograms {
  readonly node: string
  readonly agent: string
  readonly keeper: string
  /** Folder for the compiled form of core's files. */
  readonly compiled: string
}

/** A host on which members can be started: its keeper hangs on one SSH connection. */
export interface OpenHost {
  readonly keeper: NativeKeeper
  readonly facts: HostFacts
  readonly places: HostPlaces
  readonly programs: HostPrograms
  /** The launcher's address as members there have it. */
  readonly rendezvous: string
  /** The same by a second SSH connection, made at the first call and again when it broke; undefined: it cannot be had. */
  aside(): Promise<string | undefined>
  /** Ends everything there and the connection. */
  close(): Promise<void>
}

/** Logs in, delivers the runtime where it is not there yet, starts the keeper. Tries again where sshd was busy. */
export async function openHost(order: HostOrder, signal: AbortSignal): Promise<OpenHost> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openOnce(order, signal)
    } catch (error) {
      if (!(error instanceof ConnectionFailed)) throw error
      const attempts = error.failure.error.code === 'E_SSH_BUSY' ? ATTEMPTS_WHERE_BUSY : ATTEMPTS
      if (!error.failure.again || attempt >= attempts) throw error.failure.error
      order.note?.(`${error.failure.error.what}; trying again`)
      const pause = Math.min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * (0.5 + Math.random())
      await new Promise<void>((resolve) => setTimeout(resolve, pause))
      if (signal.aborted) throw error.failure.error
    }
  }
}

async function openOnce(order: HostOrder, signal: AbortSignal): Promise<OpenHost> {
  const { plan, way, mark, leaseMs, graceMs } = order
  const there = `/tmp/gf-${randomBytes(12).toString('hex')}`
  const socket = `${there}.sock`
  const here = socketOf(order.rendezvous)
  const argv = sshArgv(plan, way, { forward: { there: socket, here } })
  const beside = new Aside({ spec: plan, way, here, there })
  const session = new HostSession(plan.host, argv, { workdir: plan.workdir, node: plan.node, socket })
  try {
    const { facts, runtime } = await equip(order, session, signal)
    const helper = `${runtime.layers[0]!.name}/${keeperIn(runtime)}`
    const members = plan.members.map(({ memberId }) => memberId)
    const places = await session.start({ keeper: helper, mark, leaseMs, graceMs, members }, signal)
    const keeper = await keeperOver(session.child, `${facts.runtime}/${helper} on ${plan.host}`, {
      mark,
      root: true,
      elsewhere: true,
      leaseMs,
      graceMs,
    })
    let closing = false
    void keeper.closed.then(() => {
      beside.close()
      if (!closing) sweep(plan, way, { places, keeper: keeper.ownPid, mark, work: facts.work, socket })
    })
    const close = async () => {
      closing = true
      beside.close()
      // A host that does not answer any more ends everything by itself.
      const late = setTimeout(() => session.close(), graceMs + CLOSE_MS)
      await keeper.close({ graceMs })
      clearTimeout(late)
      session.close()
    }
    const own = (path: string) => `${facts.runtime}/${path}`
    const programs = {
      agent: own(runtime.agent),
      keeper: own(helper),
      node: nodeOn(facts, runtime),
      compiled: own(`${runtime.layers[0]!.name}/compiled`),
    }
    const rendezvous = rendezvousOn(order.rendezvous, { socket, ...(facts.client ? { client: facts.client } : {}) })
    const aside = async () => {
      const path = await beside.socket()
      return path === undefined ? undefined : rendezvousOn(order.rendezvous, { socket: path })
    }
    return { keeper, facts, places, programs, rendezvous, aside, close }
  } catch (error) {
    session.close()
    // It may have been let in, and its shell have turned the script away.
    if (error instanceof ConnectionFailed && error.failure.error.code === 'E_SSH_FAILED')
      removeSocket(plan, way, socket)
    throw error
  }
}

/** What is needed to make a host ready for agents. */
type Equipment = Pick<HostOrder, 'way' | 'core' | 'note'> & { readonly plan: HostSpec }

/** Asks what the host has and delivers what an agent needs there and is not there yet. */
export async function equip(
  order: Equipment,
  session: HostSession,
  signal: AbortSignal,
): Promise<{ facts: HostFacts; runtime: HostRuntime }> {
  const facts = await session.facts(signal)
  const runtime = await runtimeFor(order, facts)
  for (const layer of runtime.layers) await deliver(order, session, facts, layer, signal)
  return { facts, runtime }
}

/** Absolute path of the Node that runs agents there. */
export const nodeOn = (facts: HostFacts, runtime: HostRuntime): string =>
  runtime.node ? `${facts.runtime}/${runtime.node}` : facts.node!.path

/** What is sent to a host of these facts; throws where core cannot run there. */
async function runtimeFor({ plan, core }: Equipment, facts: HostFacts): Promise<HostRuntime> {
  const { os, arch, libc, node } = facts
  const platform: HostPlatform = {
    os,
    cpu: arch,
    ...(libc === '' ? {} : { libc: libc === 'musl' ? 'musl' : 'glibc' }),
  }
  const runtime = await runtimeFiles(core, { platform, ...(node ? { node: node.version } : {}) }).catch(
    (error: unknown) => {
      if (!GangflowError.is(error)) throw error
      throw new GangflowError({
        code: error.code,
        what: `host ${plan.host}: ${error.what}`,
        fix: error.fix,
        host: plan.host,
      })
    },
  )
  if (runtime.keeper) return runtime
  throw new GangflowError({
    code: 'E_SSH_HOST_UNFIT',
    what: `host ${plan.host} is ${os} ${arch}, and no native helper for it is installed here`,
    fix: `npm install @gangflow/keeper-${os}-${arch}`,
    host: plan.host,
  })
}

const keeperIn = ({ layers }: HostRuntime): string =>
  layers[0]!.files.find(({ path }) => path.endsWith('/gangflow-keeper'))!.path

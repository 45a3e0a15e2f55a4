import { randomBytes } from 'node:crypto'
import { keeperOver } from '../../process/keeper.js'
import type { NativeKeeper } from '../../process/native.js'
import { sendRuntime, undelivered } from './deliver.js'
import type { HostFacts } from './facts.js'
import type { SshHostPlan } from './plan.js'
import type { HostRuntime, RuntimeFor } from './runtime.js'
import { ConnectionFailed, type HostPlaces, HostSession, type SessionStart } from './session.js'
import { type SshWay, sshArgv } from './ssh-argv.js'

/** Milliseconds before the second attempt to log in; doubled for each further one, with a random part. */
const FIRST_PAUSE = 250
const ATTEMPTS = 6

export interface HostOrder {
  readonly plan: SshHostPlan
  readonly way: SshWay
  readonly runtimeFor: RuntimeFor
  /** Of everything that runs there: the keeper's marker. */
  readonly mark: string
  /** The launcher's socket that the members shall reach there. */
  readonly rendezvous: string
  /** Milliseconds of silence of this process after which the host's keeper ends everything. */
  readonly leaseMs: number
  readonly graceMs: number
}

/** A host on which members can be started: its keeper hangs on one SSH connection. */
export interface OpenHost {
  readonly keeper: NativeKeeper
  readonly facts: HostFacts
  readonly places: HostPlaces
  readonly runtime: HostRuntime
  /** Where the launcher's rendezvous is on the host. */
  readonly socket: string
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
      if (!error.failure.again || attempt === ATTEMPTS) throw error.failure.error
      const pause = FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + Math.random())
      await new Promise<void>((resolve) => setTimeout(resolve, pause))
      if (signal.aborted) throw error.failure.error
    }
  }
}

async function openOnce(order: HostOrder, signal: AbortSignal): Promise<OpenHost> {
  const { plan, way, mark, leaseMs, graceMs } = order
  const socket = `/tmp/gf-${randomBytes(12).toString('hex')}.sock`
  const argv = sshArgv(plan, way, { forward: { there: socket, here: order.rendezvous } })
  const session = new HostSession(plan.host, argv, { workdir: plan.workdir, node: plan.node, socket })
  try {
    const facts = await session.facts(signal)
    const runtime = await order.runtimeFor(plan.host, facts)
    const start: SessionStart = {
      hash: runtime.hash,
      mark,
      leaseMs,
      graceMs,
      members: plan.members.map(({ memberId }) => memberId),
    }
    let places = await session.start(start, signal)
    if (!places) {
      const folder = await session.receive(runtime.hash, signal)
      await sendRuntime(order, folder, runtime, signal)
      await session.keep(runtime.hash, signal)
      places = await session.start(start, signal)
    }
    if (!places) throw undelivered(plan.host, facts.work, 'it was not there after it had been sent')
    const keeper = await keeperOver(session.child, `${places.runtime}/keeper on ${plan.host}`, {
      mark,
      root: true,
      elsewhere: true,
      leaseMs,
      graceMs,
    })
    const close = async () => {
      await keeper.close({ graceMs })
      session.close()
    }
    return { keeper, facts, places, runtime, socket, close }
  } catch (error) {
    session.close()
    throw error
  }
}

import { GangflowError, messageOf } from '../../errors/base.js'
import type { DoctorPlace } from '../../plugin/contract.js'
import { equip, nodeOn } from '../ssh/host.js'
import type { HostSpec } from '../ssh/hosts.js'
import { ConnectionFailed, HostSession } from '../ssh/session.js'
import { type SshWay, sshArgv } from '../ssh/ssh-argv.js'
import type { Finding } from './finding.js'
import { judgeHost } from './judge.js'
import type { MachineFacts } from './machine-facts.js'
import { type PlannedCheck, performCheck } from './plugin-checks.js'
import { ProbeSession } from './probe-session.js'
import type { Ear } from './reach.js'

export interface HostOrder {
  readonly way: SshWay
  /** Folder of the core whose runtime is delivered. */
  readonly core: string
  readonly checks: readonly PlannedCheck[]
  /** Milliseconds for the whole host. */
  readonly timeoutMs: number
}

/** A host that can be talked to. */
export interface Examined {
  readonly name: string
  readonly session: ProbeSession
  readonly facts: MachineFacts
  readonly ear: Omit<Ear, 'close'>
  /** This machine, as the host sees it. */
  readonly caller: string | undefined
  /** Best first. */
  readonly addresses: readonly string[]
  readonly place: Pick<DoctorPlace, 'python'>
}

/** Attempts to log in where sshd is busy. */
const ATTEMPTS = 5

/** As the person names it. */
export const nameOf = ({ user, host, port }: HostSpec): string =>
  `${user === undefined ? '' : `${user}@`}${host.includes(':') && port !== undefined ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}`

/** Looks at one host: adds what it finds to `findings`, and the host to `examined` when it can be talked to. */
export async function examineHost(
  spec: HostSpec,
  order: HostOrder,
  signal: AbortSignal,
  findings: Finding[],
  examined: Examined[],
): Promise<void> {
  const host = nameOf(spec)
  const deadline = AbortSignal.timeout(order.timeoutMs)
  const either = AbortSignal.any([signal, deadline])
  let doing = 'logging in'
  let check = 'ssh'
  let session: ProbeSession | undefined
  try {
    const { own, work, ...place } = await trying(() => ready(spec, order, either, (what) => (doing = what)), either)
    doing = 'starting the probe'
    session = await trying(() => ProbeSession.open(spec, order.way, { ...place, work }, either), either)
    const { facts, ear, caller } = await session.ask('facts', {}, either)
    const label = (name: string) => name.split('.')[0]
    const called = label(facts.hostname) === label(spec.host) ? '' : `, calls itself ${facts.hostname}`
    findings.push({ check: 'ssh', status: 'ok', found: `reached as uid ${facts.uid}${called}`, host })
    findings.push(...judgeHost(facts, spec).map((finding) => ({ ...finding, host })))
    check = 'clock'
    doing = 'reading its clock'
    findings.push({ check: 'clock', status: 'info', found: await skew(session, either), host })
    const judged = spec.python === undefined ? {} : { python: spec.python }
    for (const planned of order.checks) {
      check = planned.name
      doing = 'checking it'
      const run = (argv: readonly string[], timeoutMs: number) => session!.ask('run', { argv, timeoutMs }, either)
      findings.push({ ...(await performCheck(planned, judged, run)), host })
    }
    const others = facts.addresses.map(({ address }) => address).filter((address) => address !== own)
    const addresses = [...(own ? [own] : []), ...others]
    examined.push({ name: host, session, facts, ear, caller, addresses, place: judged })
  } catch (error) {
    session?.close()
    if (signal.aborted) return
    if (deadline.aborted) {
      findings.push({
        check,
        status: 'fail',
        found: `not done within ${order.timeoutMs / 1000} s (last: ${doing})`,
        fix: `${check === 'ssh' ? `see what \`ssh ${spec.host} true\` does, or ` : ''}give it longer: --timeout 10m`,
        host,
      })
      return
    }
    const known = error instanceof ConnectionFailed ? error.failure.error : error
    const what = GangflowError.is(known) ? known.what.replace(`host ${spec.host}: `, '') : messageOf(known)
    const fix = GangflowError.is(known) ? known.fix : undefined
    findings.push({ check, status: 'fail', found: what, ...(fix === undefined ? {} : { fix }), host })
  }
}

/** Delivers what a run would deliver, and says where it is. */
async function ready(spec: HostSpec, order: HostOrder, signal: AbortSignal, doing: (what: string) => void) {
  const { way, core } = order
  const session = new HostSession(spec.host, sshArgv(spec, way), { workdir: spec.workdir, node: spec.node })
  try {
    doing('logging in, or delivering what an agent needs')
    const { facts, runtime } = await equip({ plan: spec, way, core, note: doing }, session, signal)
    const program = `${facts.runtime}/${runtime.agent.replace(/agent\.cjs$/, 'probe.cjs')}`
    return { node: nodeOn(facts, runtime), program, work: facts.work, own: facts.address }
  } finally {
    session.close()
  }
}

/** Tries again where sshd was busy. */
async function trying<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      const busy = error instanceof ConnectionFailed && error.failure.error.code === 'E_SSH_BUSY'
      if (!busy || attempt === ATTEMPTS) throw error
      const pause = 250 * 2 ** (attempt - 1) * (0.5 + Math.random())
      await new Promise<void>((resolve) => setTimeout(resolve, pause))
      if (signal.aborted) throw error
    }
  }
}

/** How far its wall clock is from this machine's: information only, nothing depends on it. */
async function skew(session: ProbeSession, signal: AbortSignal): Promise<string> {
  let best = { rtt: Number.POSITIVE_INFINITY, offset: 0 }
  for (let round = 0; round < 3; round++) {
    const [before, at] = [Date.now(), performance.now()]
    const there = await session.ask('clock', {}, signal)
    const rtt = performance.now() - at
    if (rtt < best.rtt) best = { rtt, offset: there - before - rtt / 2 }
  }
  const off = Math.round(best.offset)
  if (Math.abs(off) <= best.rtt / 2 + 50) return 'as here'
  const text = Math.abs(off) < 10_000 ? `${Math.abs(off)} ms` : `${Math.round(Math.abs(off) / 1000)} s`
  return `${text} ${off > 0 ? 'ahead' : 'behind'}`
}

import { setMaxListeners } from 'node:events'
import pLimit from 'p-limit'
import { pairsAmong } from '../../discovery/pairs.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import { equip, nodeOn } from '../ssh/host.js'
import { type HostSpec, hostKeyOf } from '../ssh/hosts.js'
import { ConnectionFailed, HostSession } from '../ssh/session.js'
import { type SshWay, sshArgv } from '../ssh/ssh-argv.js'
import type { Finding } from './finding.js'
import { judgeHost, judgeTogether } from './judge.js'
import { addressesHere, type MachineFacts } from './machine-facts.js'
import { judgePairs, type PairResult } from './pairs.js'
import { type PlannedCheck, performCheck } from './plugin-checks.js'
import { ProbeSession } from './probe-session.js'
import { type Ear, listen, type Peer, type Reached } from './reach.js'

export interface HostsOrder {
  readonly hosts: readonly HostSpec[]
  readonly way: SshWay
  /** Folder of the core whose runtime is delivered. */
  readonly core: string
  readonly checks: readonly PlannedCheck[]
  /** Hosts that are logged in to at once. */
  readonly fanOut: number
  /** Milliseconds for one host, and again for its peers. */
  readonly timeoutMs: number
  /** Says what is being done, and for which hosts it is still to do. */
  readonly onProgress?: (phase: 'hosts' | 'pairs', waiting: readonly string[], total: number) => void
}

/** A host that can be talked to. */
interface Examined {
  readonly name: string
  readonly session: ProbeSession
  readonly facts: MachineFacts
  readonly ear: Omit<Ear, 'close'>
  /** This machine, as the host sees it. */
  readonly caller: string | undefined
  /** Best first. */
  readonly addresses: readonly string[]
}

/** Milliseconds for one connection between two hosts. */
const CALL = 5_000
const ATTEMPTS = 5

/** Looks at every host and every pair. Never rejects: what cannot be had is a finding; after an abort, what is known. */
export async function examineHosts(order: HostsOrder, signal: AbortSignal): Promise<Finding[]> {
  const specs = [...new Map(order.hosts.map((spec) => [hostKeyOf(spec), spec])).values()]
  const findings: Finding[] = []
  const examined: Examined[] = []
  const limit = pLimit(order.fanOut)
  const alike = order.checks.filter(({ check }) => check.alike).map(({ name }) => name)
  const waiting = new Set(specs.map(nameOf))
  // In the order in which the person names the hosts, then what concerns all.
  const at = new Map(specs.map((spec, index) => [nameOf(spec), index]))
  const inOrder = <T>(list: T[], host: (one: T) => string | undefined) =>
    list.sort((a, b) => (at.get(host(a) ?? '') ?? specs.length) - (at.get(host(b) ?? '') ?? specs.length))
  const told = (phase: 'hosts' | 'pairs') => order.onProgress?.(phase, [...waiting], specs.length)
  told('hosts')
  try {
    await Promise.all(
      specs.map((spec) =>
        limit(async () => {
          if (signal.aborted) return
          await examine(spec, order, signal, findings, examined)
          waiting.delete(nameOf(spec))
          told('hosts')
        }),
      ),
    )
    inOrder(findings, ({ host }) => host)
    inOrder(examined, ({ name }) => name)
    findings.push(...judgeTogether(findings, examined, alike))
    if (examined.length > 0 && !signal.aborted) {
      for (const { name } of examined) waiting.add(name)
      told('pairs')
      findings.push(...(await examinePairs(examined, order, signal)))
    }
  } finally {
    for (const { session } of examined) session.close()
  }
  inOrder(findings, ({ host }) => host)
  return findings
}

const nameOf = ({ user, host, port }: HostSpec): string =>
  `${user === undefined ? '' : `${user}@`}${host}${port === undefined ? '' : `:${port}`}`

async function examine(
  spec: HostSpec,
  order: HostsOrder,
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
    const called = facts.hostname === spec.host ? '' : `, calls itself ${facts.hostname}`
    findings.push({ check: 'ssh', status: 'ok', found: `reached as uid ${facts.uid}${called}`, host })
    findings.push(...judgeHost(facts, spec).map((finding) => ({ ...finding, host })))
    check = 'clock'
    doing = 'reading its clock'
    findings.push({ check: 'clock', status: 'info', found: await skew(session, either), host })
    for (const planned of order.checks) {
      check = planned.name
      doing = 'checking it'
      const run = (argv: readonly string[], timeoutMs: number) => session!.ask('run', { argv, timeoutMs }, either)
      const place = spec.python === undefined ? {} : { python: spec.python }
      findings.push({ ...(await performCheck(planned, place, run)), host })
    }
    const others = facts.addresses.map(({ address }) => address).filter((address) => address !== own)
    const addresses = [...(own ? [own] : []), ...others]
    examined.push({ name: host, session, facts, ear, caller, addresses })
  } catch (error) {
    session?.close()
    if (signal.aborted) return
    if (deadline.aborted) {
      findings.push({
        check,
        status: 'fail',
        found: `not done within ${order.timeoutMs / 1000} s (it was ${doing})`,
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
async function ready(spec: HostSpec, order: HostsOrder, signal: AbortSignal, doing: (what: string) => void) {
  const { way, core } = order
  const session = new HostSession(spec.host, sshArgv(spec, way), { workdir: spec.workdir, node: spec.node })
  try {
    doing('logging in, or delivering what an agent needs')
    const { facts, runtime } = await equip({ plan: spec, way, core }, session, signal)
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

async function examinePairs(examined: readonly Examined[], order: HostsOrder, signal: AbortSignal): Promise<Finding[]> {
  const either = AbortSignal.any([signal, AbortSignal.timeout(order.timeoutMs)])
  // Every host's calls wait for it.
  setMaxListeners(0, either)
  const here = await listen()
  const launcher = ({ caller }: Examined): Peer => {
    const addresses = [...new Set([...(caller === undefined ? [] : [caller]), ...addressesHere()])]
    return { name: '', ...here, addresses: addresses.slice(0, 4) }
  }
  const peer = ({ name, ear, addresses }: Examined): Peer => ({ name, ...ear, addresses: addresses.slice(0, 6) })
  const pairs = pairsAmong(examined.length)
  const results: PairResult[] = []
  const direct: Finding[] = []
  const waiting = new Set(examined.map(({ name }) => name))
  try {
    await Promise.all(
      examined.map(async (one, index) => {
        const peers = pairs[index]!.map((at) => peer(examined[at]!))
        const [reached, home] = await Promise.all([
          one.session.ask('reach', { peers, timeoutMs: CALL }, either).catch(() => undefined),
          one.session.ask('reach', { peers: [launcher(one)], timeoutMs: CALL }, either).catch(() => undefined),
        ])
        waiting.delete(one.name)
        order.onProgress?.('pairs', [...waiting], examined.length)
        for (const { name } of peers)
          results.push({ from: one.name, to: name, reached: reached?.find((each) => each.name === name) })
        direct.push({ check: 'launcher', status: 'info', found: wayHome(home?.[0]), host: one.name })
      }),
    )
  } finally {
    here.close()
  }
  return signal.aborted ? [] : [...direct, ...judgePairs(results, examined.length)]
}

/** A launcher that its hosts cannot call is no trouble: what they have to say goes through its own connection. */
const wayHome = (reached: Reached | undefined): string =>
  reached?.address === undefined ? 'reached through its SSH connection alone' : 'reached directly'

import { pairsAmong } from '../../discovery/pairs.js'
import { milliseconds } from '../../errors/duration.js'
import { signalWithin } from '../../errors/signal-within.js'
import type { DoctorPair, DoctorPairCheck } from '../../plugin/contract.js'
import type { Examined, HostOrder } from './examine-host.js'
import type { Finding } from './finding.js'
import { group } from './judge.js'
import type { PairResult } from './pairs.js'
import { failed } from './plugin-checks.js'

/** Before it, in a line of what runs on the first host, a command for the other one. */
const OTHER = '@other '

export interface PairsToTry {
  readonly examined: readonly Examined[]
  /** Of the hosts, by now. */
  readonly findings: readonly Finding[]
  /** Who reached whom, and where. */
  readonly ways: readonly PairResult[]
  readonly order: Pick<HostOrder, 'checks' | 'timeoutMs'>
}

interface Tried {
  readonly from: string
  readonly to: string
  /** Undefined: its turn did not come in time. */
  readonly outcome: Pick<Finding, 'status' | 'found' | 'fix'> | undefined
}

/** What plugins want to see tried between two hosts; each host takes part in one at a time. */
export async function tryPairs(
  { examined, findings, ways, order }: PairsToTry,
  told: (waiting: readonly string[]) => void,
  signal: AbortSignal,
): Promise<Finding[]> {
  const found: Finding[] = []
  for (const { name, check, options } of order.checks) {
    const { pair } = check
    if (!pair) continue
    const bad = new Set(findings.filter((one) => one.check === name && one.status === 'fail').map(({ host }) => host))
    const well = examined.filter(({ name }) => !bad.has(name))
    // Of a sample one of the two may not have it; each pair is tried once.
    const all = pairsAmong(well.length).flatMap((others, from) => others.map((to) => [from, to].sort((a, b) => a - b)))
    const each = new Map(all.map(([from, to]) => [`${from} ${to}`, [well[from!]!, well[to!]!] as const]))
    const waiting = [...each.values()].flatMap(([from, to]) => between(ways, from, to))
    if (waiting.length === 0) continue
    const limit = signalWithin(order.timeoutMs, signal)
    const tried: Tried[] = waiting.map(({ from, to }) => ({ from: from.name, to: to.name, outcome: undefined }))
    const hosts = new Map(examined.map((one) => [one.name, one]))
    await inTurn(waiting, limit, async (one, index) => {
      const [from, to] = [hosts.get(one.from.name)!, hosts.get(one.to.name)!]
      const outcome = await tryOne(pair, options, one, from, to, limit)
      if (!limit.aborted) tried[index] = { from: from.name, to: to.name, outcome }
      told([...new Set(tried.filter(({ outcome }) => !outcome).flatMap(({ from, to }) => [from, to]))])
    })
    if (!signal.aborted) found.push(...judgeTried(`${name} pairs`, tried))
  }
  return found
}

/** The pair with its addresses, where each reaches the other, as far as it was tried. */
function between(ways: readonly PairResult[], from: Examined, to: Examined): DoctorPair[] {
  const at = (one: Examined, other: Examined) => {
    const way = ways.find((way) => way.from === one.name && way.to === other.name)
    return way ? way.reached?.address : other.addresses[0]
  }
  const [there, back] = [at(from, to), at(to, from)]
  if (there === undefined || back === undefined) return []
  return [{ from: { name: from.name, address: back }, to: { name: to.name, address: there } }]
}

/** As many at once as there are pairs of hosts that are free. */
async function inTurn(
  pairs: readonly DoctorPair[],
  signal: AbortSignal,
  act: (pair: DoctorPair, index: number) => Promise<void>,
): Promise<void> {
  const left = new Set(pairs.keys())
  const busy = new Set<string>()
  const running = new Set<Promise<void>>()
  while ((left.size > 0 && !signal.aborted) || running.size > 0) {
    for (const index of signal.aborted ? [] : [...left]) {
      const { from, to } = pairs[index]!
      if (busy.has(from.name) || busy.has(to.name)) continue
      left.delete(index)
      for (const { name } of [from, to]) busy.add(name)
      const done = act(pairs[index]!, index).finally(() => {
        running.delete(done)
        for (const { name } of [from, to]) busy.delete(name)
      })
      running.add(done)
    }
    await Promise.race(running)
  }
}

async function tryOne(
  check: DoctorPairCheck,
  options: unknown,
  pair: DoctorPair,
  from: Examined,
  to: Examined,
  signal: AbortSignal,
): Promise<Pick<Finding, 'status' | 'found' | 'fix'>> {
  const timeoutMs = milliseconds(check.timeout ?? '30s')
  const others: { end(): void }[] = []
  const hear = (line: string) => {
    if (!line.startsWith(OTHER)) return
    const argv = ['sh', '-c', line.slice(OTHER.length)]
    const other = to.session.converse(argv, timeoutMs, signal, () => {})
    other.ended.catch(() => {})
    others.push(other)
  }
  try {
    const argv = check.command({ options, ...from.place }, pair)
    const end = await from.session.converse(argv, timeoutMs, signal, hear).ended
    return { status: 'ok', found: check.judge(end, pair) }
  } catch (error) {
    return failed(error)
  } finally {
    for (const other of others) other.end()
  }
}

/** What the tries say together. Pure. */
export function judgeTried(check: string, tried: readonly Tried[]): Finding[] {
  const good = tried.flatMap(({ outcome }) => (outcome?.status === 'ok' ? [outcome.found] : []))
  const findings: Finding[] = []
  for (const [found, all] of group(good, (found) => found))
    findings.push({ check, status: 'ok', found: `${all.length} of ${tried.length}: ${found}` })
  const bad = tried.flatMap(({ from, to, outcome }) =>
    outcome?.status === 'ok'
      ? []
      : [
          {
            way: `${from} → ${to}`,
            ...(outcome ?? { found: 'not tried in time', fix: 'give it longer: --timeout 10m' }),
          },
        ],
  )
  for (const [, alike] of group(bad, ({ found, fix }) => `${found} ${fix}`)) {
    const ways = alike.map(({ way }) => way)
    const listed = ways.length <= 4 ? ways.join(', ') : `${ways.slice(0, 3).join(', ')} and ${ways.length - 3} more`
    const { found, fix } = alike[0]!
    findings.push({ check, status: 'fail', found: `${listed}: ${found}`, ...(fix === undefined ? {} : { fix }) })
  }
  return findings
}

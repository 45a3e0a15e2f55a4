import type { Finding } from './finding.js'
import { group } from './judge.js'
import type { Reached } from './reach.js'

/** Hosts up to which every pair is tried. */
const ALL_PAIRS = 64

export interface PairResult {
  readonly from: string
  readonly to: string
  /** Undefined: `from` did not answer. */
  readonly reached: Reached | undefined
}

const fixes: Readonly<Record<string, string>> = {
  'no answer':
    'a firewall drops it, or the way is wrong: let the hosts reach each other on all TCP ports from 1024 (security group, ufw, iptables)',
  refused: 'a firewall refuses it: let the hosts reach each other on all TCP ports from 1024',
  'no route':
    'it is down, a firewall refuses it, or there is no way between their networks: let the hosts reach each other directly, on all TCP ports from 1024',
  'another machine answered':
    'two machines have this address (docker bridges often do): give the hosts an address of their own that the others reach',
  'large packets are lost': 'the MTU is too large for the way between them: lower it (ip link set DEV mtu 1400)',
}

/** What the calls between hosts mean. Pure. */
export function judgePairs(results: readonly PairResult[], hosts: number): Finding[] {
  const good = results.filter(({ reached }) => reached?.address !== undefined)
  const bad = results.filter(({ reached }) => reached?.address === undefined)
  const which = hosts > ALL_PAIRS ? `of a ring and a sample of ${hosts} hosts` : `among ${hosts} hosts`
  const findings: Finding[] = []
  if (good.length > 0) {
    const times = good.map(({ reached }) => reached!.ms!).sort((a, b) => a - b)
    const [least, most] = [times[0]!, times.at(-1)!]
    findings.push({
      check: 'pairs',
      status: 'ok',
      found: `${good.length} of ${results.length} connections ${which}, each in ${least.toFixed(1)} to ${most.toFixed(1)} ms`,
    })
  }
  const told = bad.map(({ from, to, reached }) => {
    const last = reached?.tries[0]
    return { from, to, why: last?.why ?? (reached ? 'it has no address' : 'not tried in time'), at: placeOf(reached) }
  })
  for (const [, ways] of group(told, ({ to, why, at }) => `${to} ${why} ${at}`)) {
    const { to, why, at } = ways[0]!
    const callers = new Set(results.filter((each) => each.to === to).map(({ from }) => from)).size
    const from = ways.length === callers && callers > 1 ? 'every other host' : listed(ways.map((way) => way.from))
    const fix = fixes[why] ?? `see from there: ssh ${ways[0]!.from} ping ${to}`
    findings.push({ check: 'pairs', status: 'fail', found: `${from} → ${to}${at}: ${why}`, fix })
  }
  return findings
}

function placeOf(reached: Reached | undefined): string {
  const addresses = [...new Set(reached?.tries.map(({ address }) => address))]
  const [first] = addresses
  if (first === undefined) return ''
  const ports = reached!.tries.filter(({ address }) => address === first).length
  return ` (${addresses.join(', ')}${ports === 1 ? ', some ports only' : ''})`
}

const listed = (names: readonly string[]): string =>
  names.length <= 6 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`

import pLimit from 'p-limit'
import { type HostSpec, hostKeyOf } from '../ssh/hosts.js'
import { type Examined, examineHost, type HostOrder, nameOf } from './examine-host.js'
import { examinePairs } from './examine-pairs.js'
import type { Finding } from './finding.js'
import { judgeTogether } from './judge.js'
import { tryPairs } from './try-pairs.js'

export interface HostsOrder extends HostOrder {
  readonly hosts: readonly HostSpec[]
  /** Hosts that are logged in to at once. */
  readonly fanOut: number
  /** Says what is being done, and for which hosts it is still to do. */
  readonly onProgress?: (phase: 'hosts' | 'pairs', waiting: readonly string[], total: number) => void
}

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
  const told = () => order.onProgress?.('hosts', [...waiting], specs.length)
  told()
  try {
    await Promise.all(
      specs.map((spec) =>
        limit(async () => {
          if (signal.aborted) return
          await examineHost(spec, order, signal, findings, examined)
          waiting.delete(nameOf(spec))
          told()
        }),
      ),
    )
    inOrder(findings, ({ host }) => host)
    inOrder(examined, ({ name }) => name)
    findings.push(...judgeTogether(findings, examined, alike))
    if (examined.length > 0 && !signal.aborted) {
      const paired = (names: readonly string[]) => order.onProgress?.('pairs', names, examined.length)
      paired(examined.map(({ name }) => name))
      const pairs = await examinePairs(examined, order.timeoutMs, paired, signal)
      findings.push(...pairs.findings)
      findings.push(...(await tryPairs({ examined, findings, ways: pairs.results, order }, paired, signal)))
    }
  } finally {
    for (const { session } of examined) session.close()
  }
  inOrder(findings, ({ host }) => host)
  return findings
}

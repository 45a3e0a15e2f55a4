import { setMaxListeners } from 'node:events'
import { pairsAmong } from '../../discovery/pairs.js'
import { signalWithin } from '../../errors/signal-within.js'
import type { Examined } from './examine-host.js'
import type { Finding } from './finding.js'
import { addressesHere } from './machine-facts.js'
import { judgePairs, type PairResult } from './pairs.js'
import { listen, type Peer, type Reached } from './reach.js'

/** Milliseconds for one connection between two hosts. */
const CALL = 5_000

/** Lets hosts call one another, and this machine; `told` says who has not done yet. */
export async function examinePairs(
  examined: readonly Examined[],
  timeoutMs: number,
  told: (waiting: readonly string[]) => void,
  signal: AbortSignal,
): Promise<{ readonly findings: readonly Finding[]; readonly results: readonly PairResult[] }> {
  const either = signalWithin(timeoutMs, signal)
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
        told([...waiting])
        for (const { name } of peers)
          results.push({ from: one.name, to: name, reached: reached?.find((each) => each.name === name) })
        direct.push({ check: 'launcher', status: 'info', found: wayHome(home?.[0]), host: one.name })
      }),
    )
  } finally {
    here.close()
  }
  return { findings: signal.aborted ? [] : [...direct, ...judgePairs(results, examined.length)], results }
}

/** A launcher that its hosts cannot call is no trouble: what they have to say goes through its own connection. */
const wayHome = (reached: Reached | undefined): string =>
  reached?.address === undefined ? 'reached through its SSH connection alone' : 'reached directly'

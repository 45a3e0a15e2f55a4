import { setTimeout as sleep } from 'node:timers/promises'
import type { GangContext } from '../contract.js'
import type { Engine } from './contract.js'
import type { Seen } from './failure.js'
import type { Start } from './start.js'

const ASK_MS = 1_000

/** Asks on who is there; settles with the first node that is silent for too long, never otherwise. Ends by `over`. */
export async function watch(
  gang: GangContext,
  engine: Engine,
  { plan, nameOf }: Pick<Start, 'plan' | 'nameOf'>,
  options: { readonly silenceMs: number; readonly over: AbortSignal },
): Promise<Seen> {
  const { silenceMs, over } = options
  const heard = new Map(gang.roster.entries.map(({ node }) => [node, performance.now()]))
  const refresh = () => {
    for (const node of heard.keys()) heard.set(node, performance.now())
  }
  for (let turn = performance.now(); !over.aborted; ) {
    await sleep(Math.min(ASK_MS, silenceMs / 4), undefined, { signal: over }).catch(() => {})
    const limit = AbortSignal.any([over, AbortSignal.timeout(Math.max(1_000, silenceMs / 2))])
    const there = await engine.present(plan, limit).catch((): number[] => [])
    if (over.aborted) break
    for (const node of there) heard.set(node, performance.now())
    // Who judges and has itself stood still accuses nobody.
    if (performance.now() - turn > silenceMs) refresh()
    turn = performance.now()
    const silent = [...heard].filter(([, at]) => turn - at > silenceMs).map(([node]) => node)
    const [node] = silent
    if (node === undefined) continue
    return {
      kind: 'silent',
      starting: false,
      node,
      nodes: silent,
      process: nameOf(node),
      afterMs: turn - heard.get(node)!,
    }
  }
  return new Promise(() => {})
}

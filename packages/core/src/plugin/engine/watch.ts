import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '../../errors/signal-within.js'
import type { GangContext } from '../contract.js'
import type { Engine } from './contract.js'
import type { Seen } from './failure.js'
import type { Start } from './start.js'
import { stoppedOn } from './stopped.js'

const ASK_MS = 1_000
/** Who is silent for so long is looked at by its own member. */
const SUSPECT_MS = 2_500
/** A process that is stopped will not answer: so long it may be silent, whatever `silence` allows. */
const STOPPED_MS = 5_000

/** A process of the cluster that is to answer. */
interface Part {
  readonly node: number
  readonly process: string
  /** When it was last heard of. */
  at: number
  /** Its process that is stopped, once its member has said so. */
  stopped?: string
  asking?: boolean
}

/** Asks on who is there; settles with the first part that is silent for too long, never otherwise. Ends by `over`. */
export async function watch(
  gang: GangContext,
  engine: Engine,
  start: Pick<Start, 'plan' | 'headName' | 'nameOf' | 'partOf'>,
  options: { readonly silenceMs: number; readonly over: AbortSignal },
): Promise<Seen> {
  const { silenceMs, over } = options
  const now = performance.now()
  // The head is there when it answers at all, whomever it names; where the control has no worker, it is node 0's part.
  const head: Part = { node: 0, process: start.headName, at: now }
  const nodes = gang.roster.entries.map(({ node }): Part => ({ node, process: start.nameOf(node), at: now }))
  const parts = [head, ...nodes]
  for (let turn = performance.now(); !over.aborted; ) {
    await sleep(Math.min(ASK_MS, silenceMs / 4), undefined, { signal: over }).catch(() => {})
    const ask = (signal: AbortSignal) => engine.present(start.plan, signal)
    const there = await within(Math.max(1_000, silenceMs / 2), [over], ask).catch(() => undefined)
    if (over.aborted) break
    const asked = performance.now()
    const isLate = asked - turn > silenceMs
    turn = asked
    for (const part of parts) {
      const isThere = part === head ? there !== undefined : there?.includes(part.node)
      // Who judges and has itself stood still accuses nobody.
      if (isThere || isLate) part.at = asked
      if (isThere) delete part.stopped
    }
    const lost = parts.filter(({ at, stopped }) => asked - at > (stopped ? Math.min(STOPPED_MS, silenceMs) : silenceMs))
    const first = lost[0]
    if (first !== undefined)
      return {
        kind: 'silent',
        starting: false,
        node: first.node,
        nodes: [...new Set(lost.map(({ node }) => node))],
        process: first.process,
        ...(first.stopped === undefined ? {} : { stopped: first.stopped }),
        afterMs: asked - first.at,
      }
    for (const part of parts) {
      if (part.asking || part.stopped !== undefined || asked - part.at < Math.min(SUSPECT_MS, silenceMs / 2)) continue
      part.asking = true
      void stoppedOn(gang, part.node, start.partOf(part.process)).then((stopped) => {
        part.asking = false
        if (stopped !== undefined) part.stopped = stopped
      })
    }
  }
  return new Promise(() => {})
}

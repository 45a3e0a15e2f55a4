import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '../../errors/signal-within.js'
import type { Command, CommandResult, GangContext, GangPort, GangProcess } from '../contract.js'
import type { Engine, EnginePlace, EnginePlan, EngineWorker } from './contract.js'
import type { Seen } from './failure.js'
import { marked } from './stopped.js'

/** Between two questions who is there. */
const ASK_MS = 100
/** One question is given up after so long. */
const ANSWER_MS = 2_000
/** Between TERM and KILL: what a cluster does at its end is of no use to anybody. */
const STOP_MS = 500

/** One start of a cluster: its processes and what it holds. */
export interface Start {
  readonly plan: EnginePlan
  /** The first process that ended by itself. */
  readonly ended: Promise<Seen>
  /** Of the head, as in its log. */
  readonly headName: string
  /** Of a node's process: its worker, the head where it has none. */
  nameOf(node: number): string
  /** The mark that all processes below that one carry. */
  partOf(name: string): string
  close(): Promise<void>
}

/** Draws names and ports, and plans. */
export async function draw(
  gang: GangContext,
  engine: Engine,
): Promise<{ plan: EnginePlan; id: string; release(): Promise<void> }> {
  const id = randomBytes(5).toString('hex')
  const { head = [], each = [] } = engine.ports ?? {}
  const held = new Map<string, GangPort>()
  const hold = async (node: number, name: string) => {
    held.set(`${node} ${name}`, await gang.reservePort(`${engine.name}-${id}-${name}`, node))
  }
  const nodes = gang.roster.entries.map(({ node }) => node)
  await Promise.all([
    ...head.map((name) => hold(0, name)),
    ...nodes.flatMap((node) => each.map((name) => hold(node, name))),
  ])
  const place: EnginePlace = {
    id,
    roster: gang.roster,
    port(node, name) {
      const port = held.get(`${node} ${name}`)
      if (!port)
        throw new TypeError(`${engine.name} asks for port '${name}' of node ${node}, which is not in its 'ports'`)
      return port.port
    },
  }
  const release = async () => {
    await Promise.all([...held.values()].map((port) => port.release().catch(() => {})))
  }
  return { id, plan: engine.plan(place), release }
}

/** Starts the head, then the workers (or all at once), and waits until every node is there. Rejects with a `Failed`. */
export async function start(
  gang: GangContext,
  engine: Engine,
  options: {
    readonly deadline: number
    readonly began: number
    /** 1 for the first. */
    readonly turn: number
    readonly onWaiting: (nodes: readonly number[]) => void
  },
): Promise<Start> {
  // Of its own for each start: its log is, and so is what a verdict finds by it.
  const again = options.turn > 1 ? `-${options.turn}` : ''
  const headName = `${engine.name}-head${again}`
  const nodeName = (node: number) => `${engine.name}-node${node}${again}`
  const { plan, id, release } = await draw(gang, engine)
  const partOf = (name: string) => `${id}/${name}`
  const nameOf = (node: number) => (plan.workers.some((one) => one.node === node) ? nodeName(node) : headName)
  const processes: GangProcess[] = []
  let starting = true
  let tellEnd!: (seen: Seen) => void
  const ended = new Promise<Seen>((resolve) => {
    tellEnd = resolve
  })
  const begin = async (node: number, name: string, command: Command) => {
    const process = await gang.start([node], {
      stopGraceMs: STOP_MS,
      service: true,
      ...marked(command, partOf(name)),
      name,
    })
    processes.push(process)
    void process.ended.then(([exit]: readonly CommandResult[]) => {
      const afterMs = performance.now() - options.began
      tellEnd({ kind: 'ended', starting, node, nodes: [node], process: name, exit: exit!, afterMs })
    })
  }
  const close = async () => {
    await Promise.allSettled(processes.map((process) => process.stop()))
    await release()
  }
  const over = new AbortController()
  try {
    for (const { node, undo } of plan.atEnd ?? []) await gang.atEnd(undo, { nodes: [node] })
    await begin(0, headName, plan.head)
    const all = gang.roster.entries.map(({ node }) => node)
    const failed = ended.then((seen) => {
      throw new Failed(seen, plan, close)
    })
    failed.catch(() => {})
    const waitFor = (enough: (there: readonly number[]) => boolean, whom: readonly number[]) =>
      until(gang, engine, plan, { ...options, over: over.signal, enough, whom })
    const within = async (work: Promise<readonly number[] | undefined>, ofWhom = nameOf) => {
      const missing = await Promise.race([work, failed])
      if (missing === undefined) return
      const node = missing[0]!
      const process = ofWhom(node)
      const afterMs = performance.now() - options.began
      throw new Failed({ kind: 'late', starting, node, nodes: missing, process, afterMs }, plan, close)
    }
    if (!plan.atOnce)
      await within(
        waitFor(() => true, [0]),
        () => headName,
      )
    for (let left = plan.workers, there: readonly number[] = []; left.length > 0; ) {
      const isDue = ({ after = [] }: EngineWorker) => after.every((node) => there.includes(node))
      const due = left.filter(isDue)
      left = left.filter((worker) => !isDue(worker))
      await Promise.all(due.map(({ node, command }) => begin(node, nodeName(node), command)))
      const wanted = left.map(({ after = [] }) => after)
      const next = (now: readonly number[]) => {
        there = now
        return wanted.some((after) => after.every((node) => now.includes(node)))
      }
      if (left.length > 0) await within(waitFor(next, wanted[0]!))
    }
    await within(waitFor((there) => all.every((node) => there.includes(node)), all))
    starting = false
    return { plan, ended, close, headName, nameOf, partOf }
  } catch (error) {
    if (!(error instanceof Failed)) await close()
    throw error
  } finally {
    over.abort()
  }
}

/** A start that did not come to its end; what it left is closed by whoever has read its logs. */
export class Failed extends Error {
  constructor(
    readonly seen: Seen,
    readonly plan: EnginePlan,
    readonly close: () => Promise<void>,
  ) {
    super(seen.kind)
  }
}

/** Asks until it is enough; gives those who are missing when the time is over. Rejects when the gang stops. */
async function until(
  gang: GangContext,
  engine: Engine,
  plan: EnginePlan,
  options: {
    readonly deadline: number
    readonly over: AbortSignal
    readonly enough: (there: readonly number[]) => boolean
    readonly whom: readonly number[]
    readonly onWaiting: (nodes: readonly number[]) => void
  },
): Promise<readonly number[] | undefined> {
  const { deadline, over, enough, whom } = options
  let missing = whom
  while (!over.aborted) {
    const ask = (signal: AbortSignal) => engine.present(plan, signal)
    const there = await within(ANSWER_MS, [gang.signal, over], ask).catch(() => undefined)
    if (gang.signal.aborted) throw gang.signal.reason
    if (there && enough(there)) return undefined
    missing = whom.filter((node) => !there?.includes(node))
    options.onWaiting(missing)
    if (performance.now() > deadline) return missing
    await sleep(ASK_MS, undefined, { signal: gang.signal }).catch(() => {})
  }
  return missing
}

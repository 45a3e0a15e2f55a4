import { randomBytes } from 'node:crypto'
import { GangflowError } from '@gangflow/core'
import type { GangContext, GangProcess } from '@gangflow/core/plugin'
import type { LaunchPlan, Machine, Places } from './launch-plan.js'
import { Ranks } from './ranks.js'
import type { World } from './world.js'

/** What a member says of itself before a launch. */
export interface MemberFacts extends Machine {
  readonly node: number
  /** The working directory is there. */
  readonly cwd: boolean
  /** Where the program is; empty: nowhere. */
  readonly program: string
  /** The script that an interpreter is to run is there; true where there is none. */
  readonly script: boolean
  /** The launcher's daemon is there. */
  readonly daemon: boolean
}

/** The members' ends of one call: a process on each, to which the wrappers of its ranks report. */
export interface Members {
  readonly facts: readonly MemberFacts[]
  readonly ranks: Ranks
  /** Ends what is left of the call's ranks and daemons on all members, and removes what they left. */
  close(): Promise<void>
}

/** What the members are to look for. */
export interface Sought {
  readonly cwd: string
  readonly program: string
  readonly script: string | undefined
  readonly daemon: string
}

/** Milliseconds that a member has to answer. */
const READY_MS = 60_000
/** And between the order to end and KILL. */
const STOP_MS = 5_000

/** One path on all hosts, short enough for the sockets of sockets' libraries, and drawn for the call. */
export function drawPlaces(): Places {
  const name = `gf-mpi-${randomBytes(5).toString('hex')}`
  return { directory: `/tmp/${name}`, shared: `/dev/shm/${name}` }
}

/** Opens them; rejects when a member cannot. `env` is what each rank gets. */
export async function openMembers(
  gang: GangContext,
  world: World,
  places: Places,
  sought: Sought,
  env: LaunchPlan['rankEnv'],
): Promise<Members> {
  const { directory, shared } = places
  await Promise.all([directory, shared].map((remove) => gang.atEnd({ remove }, { nodes: 'all' })))
  const first = new Map(world.lines.flatMap(({ members }) => members.map(({ node, first }) => [node, first])))
  const block = new TextEncoder().encode(
    Object.entries(env)
      .map((pair) => `${pair.join('=')}\0`)
      .join(''),
  )
  const { cwd, program, script = '', daemon } = sought
  const process = await gang.start('all', (node) => ({
    name: 'mpi-ranks',
    argv: ['gangflow-keeper', 'ranks', directory, shared, `${node}.${first.get(node)}`, cwd, program, script, daemon],
    stdin: block,
    show: false,
    stopGraceMs: STOP_MS,
  }))
  const ranks = new Ranks(gang.roster)
  const facts = await ready(gang, process, ranks).catch(async (error: unknown) => {
    await process.stop().catch(() => {})
    throw error
  })
  return { facts, ranks, close: () => process.stop() }
}

function ready(gang: GangContext, process: GangProcess, ranks: Ranks): Promise<MemberFacts[]> {
  const facts = new Map<number, MemberFacts>()
  return new Promise((resolve, reject) => {
    const waiting = () => gang.roster.entries.filter(({ node }) => !facts.has(node)).map(({ node }) => node)
    const timer = setTimeout(
      () => settle(() => reject(unready(gang, waiting(), `no answer in ${READY_MS / 1000} s`))),
      READY_MS,
    )
    const over = new AbortController()
    gang.signal.addEventListener('abort', () => settle(() => reject(gang.signal.reason)), { signal: over.signal })
    const settle = (act: () => void) => {
      clearTimeout(timer)
      over.abort()
      act()
    }
    process.onLine(({ node, stream, text }) => {
      if (stream !== 'stdout') return
      if (!text.startsWith('ready ')) return ranks.hear(node, text)
      facts.set(node, readFacts(node, text))
      if (facts.size < gang.numNodes) return
      settle(() => resolve([...facts.values()].sort((a, b) => a.node - b.node)))
    })
    void process.ended.then((results) => {
      ranks.close()
      const bad = results.find(({ node }) => !facts.has(node))
      if (bad)
        settle(() =>
          reject(unready(gang, [bad.node], bad.stderr.trim() || `it ended with ${bad.signal ?? bad.exitCode}`)),
        )
    })
  })
}

/** `ready cores=2 fabric=0 cwd=1 script=1 daemon=1 program=/usr/bin/python3`. */
function readFacts(node: number, text: string): MemberFacts {
  const value = (name: string) => new RegExp(` ${name}=(\\d+)`).exec(text)?.[1]
  return {
    node,
    cores: Number(value('cores') ?? 1),
    fabric: value('fabric') === '1',
    cwd: value('cwd') === '1',
    script: value('script') === '1',
    daemon: value('daemon') === '1',
    program: / program=(.*)$/.exec(text)?.[1] ?? '',
  }
}

const unready = (gang: GangContext, nodes: readonly number[], why: string) =>
  new GangflowError({
    code: 'E_MPI_MEMBER',
    what: `node ${nodes.join(', ')} cannot take part in an MPI call: ${why}`,
    fix: 'it needs /tmp, where its user may make folders, and the native helper',
    step: gang.step,
    node: nodes[0],
    host: gang.roster.entries[nodes[0]!]?.host,
  })

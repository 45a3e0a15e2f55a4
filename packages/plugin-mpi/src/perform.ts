import { writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { resolve } from 'node:path'
import { explain } from './explain.js'
import { daemonOf } from './implementation.js'
import { type LaunchPlan, type PlanInput, planLaunch } from './launch-plan.js'
import { drawPlaces, type Members, openMembers } from './members.js'
import type { MpiRankResult, MpiResult, MpiRunOptions } from './options.js'
import { RankOutput } from './rank-output.js'
import { checkMembers, scriptOf } from './ready.js'
import { record } from './record.js'
import type { Session } from './session.js'
import { type Settings, settle } from './settings.js'
import { Channels, type LaunchEnd, supervise } from './supervise.js'
import { planWorld } from './world.js'

/** Milliseconds between TERM and KILL for a launcher: it ends its daemons by itself, if it can. */
const STOP_MS = 2_000

/** One call on the control, from its options to its result. */
export async function perform(
  session: Session,
  launcher: Settings['launcher'],
  call: MpiRunOptions,
): Promise<MpiResult> {
  const began = performance.now()
  const settings = settle(session.options, launcher, call)
  const number = ++session.calls
  const { gang } = session
  const [input, shell] = await Promise.all([inputOf(session, settings), gang.shell()])
  const draft = planLaunch(input)
  const members = await openMembers(gang, draft.world, input.places, soughtOf(input, draft), draft.rankEnv)
  try {
    checkMembers(gang, input, draft, members.facts)
    const plan = planLaunch({ ...input, machines: members.facts })
    const channels = new Channels(shell, input.places.directory)
    writeFileSync(`${input.places.directory}/hosts`, plan.hostfile)
    // Not by the launcher: the wrapper of rank 0 finds it there.
    if (settings.stdin) writeFileSync(`${input.places.directory}/stdin`, settings.stdin, { mode: 0o600 })
    const recorded = record(gang, number, plan)
    const process = await gang.start([gang.nodeIndex], {
      name: settings.launcher,
      argv: plan.argv,
      env: { ...shell.env, ...plan.env },
      cwd: plan.cwd,
      stopGraceMs: STOP_MS,
    })
    const output = settings.output === 'ranks' ? new RankOutput(process, input.implementation) : undefined
    const { ranks } = members
    const end = await supervise(gang, process, { ranks, channels, np: plan.np, timeoutMs: settings.timeoutMs })
    if (end.stopped === 'gang') throw gang.signal.reason
    const failure = explain({ gang, plan, settings, ranks, end, input })
    if (failure) throw failure
    await recorded
    return resultOf(plan, members, end, began, output)
  } finally {
    await members.close().catch(() => {})
  }
}

/** What a call would perform, with the members as the roster has them. */
export async function planOf(
  session: Session,
  launcher: Settings['launcher'],
  call: MpiRunOptions,
): Promise<LaunchPlan> {
  const input = await inputOf(session, settle(session.options, launcher, call))
  return planLaunch({ ...input, places: { directory: '/tmp/gf-mpi-<call>', shared: '/dev/shm/gf-mpi-<call>' } })
}

async function inputOf({ gang, options, mpi }: Session, settings: Settings): Promise<PlanInput> {
  const nodes = gang.roster.entries
  // Before anything is asked of anybody: too many ranks is a mistake of the call.
  planWorld(nodes, settings.np, settings.oversubscribe)
  const { implementation, bin } = await mpi()
  const [first, ...rest] = settings.program
  const python = options.python !== undefined && /^python3?$/.test(first) ? options.python : first
  return {
    implementation,
    bin,
    settings: { ...settings, program: [python, ...rest] },
    nodes,
    places: drawPlaces(),
    flowDir: gang.flowDir,
    root: process.getuid?.() === 0,
    machines: nodes.map(({ slots }) => ({ cores: slots, fabric: false })),
    subnets: Object.values(networkInterfaces()).flatMap((all) => (all ?? []).flatMap(({ cidr }) => cidr ?? [])),
    env: process.env,
  }
}

const soughtOf = ({ implementation, bin, settings }: PlanInput, { cwd }: LaunchPlan) => ({
  cwd,
  program: settings.program[0],
  script: scriptOf(settings.program),
  daemon: resolve(bin, daemonOf(implementation)),
})

function resultOf(
  plan: LaunchPlan,
  { ranks }: Members,
  { result }: LaunchEnd,
  began: number,
  output: RankOutput | undefined,
): MpiResult {
  return {
    exitCode: 0,
    implementation: plan.implementation,
    np: plan.np,
    durationMs: performance.now() - began,
    launchMs: ranks.startedAt - began,
    ranks: ranks.all.map(({ rank, node, host, pid, end }): MpiRankResult => {
      const { code, signal, durationMs } = end!
      return { rank, node, host, pid, exitCode: code, signal, durationMs, ...output?.of(rank) }
    }),
    stdout: output ? '' : result.stdout,
    stderr: output ? '' : result.stderr,
  }
}

import { resolve } from 'node:path'
import { planHydra } from './hydra.js'
import { type Implementation, nameOf } from './implementation.js'
import { type Network, planNetwork } from './network.js'
import { planOpenMpi } from './openmpi.js'
import type { Settings } from './settings.js'
import { type PlanNode, planWorld, type World } from './world.js'

/** Where a call has its things: below one path that is the same on every host. */
export interface Places {
  /** `/tmp/gf-mpi-1a2b3c4d`; `bin/shim`, `bin/rank`, `tmp`, `hosts` are below it. */
  readonly directory: string
  /** For shared memory, removed with the call: `/dev/shm/gf-mpi-1a2b3c4d`. */
  readonly shared: string
}

/** Everything that a plan depends on: the same input gives the same plan. */
export interface PlanInput {
  readonly implementation: Implementation
  /** Folder of mpirun and mpiexec. */
  readonly bin: string
  readonly settings: Settings
  readonly nodes: readonly PlanNode[]
  readonly places: Places
  readonly flowDir: string
  /** Of who runs the launcher. */
  readonly root: boolean
  /** Cores that each node's processes may use, and whether it has a fabric that MPI knows besides TCP. */
  readonly machines: readonly Machine[]
  /** Of the control's interfaces: `10.0.0.5/24`. */
  readonly subnets: readonly string[]
  /** The member's own environment: what a person set there is left alone. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Machine {
  readonly cores: number
  readonly fabric: boolean
}

/** What one call performs. */
export interface LaunchPlan {
  readonly implementation: string
  readonly np: number
  /** Text of `places.directory/hosts`. */
  readonly hostfile: string
  readonly argv: readonly string[]
  /** Added to the launcher's environment. */
  readonly env: Readonly<Record<string, string>>
  /** Added to the environment of each rank. */
  readonly rankEnv: Readonly<Record<string, string>>
  /** Of every rank. */
  readonly cwd: string
  readonly world: World
  readonly places: Places
}

/** What the plan of one implementation is made from. */
export interface Part {
  readonly input: PlanInput
  readonly world: World
  readonly network: Network | undefined
  /** Some host gets more ranks than it has cores. */
  readonly crowded: boolean
  /** No host has a fabric of its own: TCP and shared memory are all there is. */
  readonly plain: boolean
}

/** What an implementation adds to the plan. */
export interface Launch {
  readonly hostfile: string
  /** Between the launcher and the program. */
  readonly options: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly rankEnv: Readonly<Record<string, string>>
}

/** Above so many hosts the daemons start one another, in a tree. */
export const TREE_FROM = 256

/** A call as it is performed on the control. Pure; throws `E_MPI_SLOTS`. */
export function planLaunch(input: PlanInput): LaunchPlan {
  const { implementation, settings, nodes, places, machines, bin } = input
  const world = planWorld(nodes, settings.np, settings.oversubscribe)
  const part: Part = {
    input,
    world,
    network: planNetwork(nodes, world.lines, input.subnets),
    crowded: world.lines.some(({ ranks, members }) => ranks > (machines[members[0]!.node]?.cores ?? ranks)),
    plain: machines.every(({ fabric }) => !fabric),
  }
  const launch = implementation.launcher === 'hydra' ? planHydra(part) : planOpenMpi(part)
  return {
    implementation: nameOf(implementation),
    np: world.np,
    hostfile: launch.hostfile,
    argv: [
      `${bin}/${programOf(implementation, settings)}`,
      ...launch.options,
      `${places.directory}/bin/rank`,
      ...settings.program,
    ],
    env: unset(launch.env, input.env),
    rankEnv: { ...unset(launch.rankEnv, { ...input.env, ...settings.env }), ...settings.env },
    cwd: resolve(input.flowDir, settings.cwd ?? '.'),
    world,
    places,
  }
}

/** Intel's `mpirun` and `mpiexec` of one version and another are scripts that look for this one on PATH. */
const programOf = ({ vendor }: Implementation, { launcher }: Settings): string =>
  vendor === 'Intel MPI' ? 'mpiexec.hydra' : launcher

/** Without what the person has set already; what names our own remote shell is ours. */
function unset(
  ours: Readonly<Record<string, string>>,
  theirs: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(ours).filter(([name]) => theirs[name] === undefined || /plm|tmpdir|ALLOW_RUN_AS_ROOT/.test(name)),
  )
}

/** Whether a person's options name one of these flags, as `--flag` or `--flag=…`. */
export const names = (args: readonly string[], ...flags: readonly string[]): boolean =>
  args.some((word) => flags.some((flag) => word === flag || word.startsWith(`${flag}=`)))

import { resolve } from 'node:path'
import type { Launcher } from './options.js'
import { rankEnvironment, sharedEnvironment } from './rank-environment.js'
import type { Settings } from './settings.js'
import { torchrunArguments, torchrunEnvironment } from './torchrun-arguments.js'

/** The part of a roster's entry that a plan reads. */
export interface PlanNode {
  readonly node: number
  readonly host: string
  /** At which the others reach it, best first. */
  readonly addresses?: readonly string[]
  /** Its network interface to the gang's network. */
  readonly interface?: string
  readonly gpus: readonly string[]
}

/** Everything that a plan depends on: the same input gives the same plan. */
export interface PlanInput {
  readonly settings: Settings
  readonly nodes: readonly PlanNode[]
  /** The node whose processes are planned. */
  readonly node: number
  readonly masterAddr: string
  readonly masterPort: string
  /** torch's run id: names the call within the attempt. */
  readonly runId: string
  /** How often the gang has been formed anew in this attempt, after a loss. */
  readonly restarts: number
  /** Directory of this call on the node. */
  readonly temp: string
  /** Below it each rank has its GANGFLOW_OUTPUT_DIR. */
  readonly output: string
  readonly flowDir: string
  /** The interpreter with its options. */
  readonly python: readonly string[]
  /** Folder of this package's Python files. */
  readonly tools: string
  /** Where the prefork parent listens. */
  readonly preforkDir: string
  /** The member's own environment, to which a process's is added. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
}

/** One process of a node. */
export interface PlannedProcess {
  /** `rank`: ends as its rank ends. `relay`: carries a rank's output below torchrun. */
  readonly kind: 'rank' | 'relay' | 'torchrun'
  /** Name of its log. */
  readonly name: string
  readonly rank?: number
  readonly localRank?: number
  readonly argv: readonly string[]
  /** Added to the member's environment. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/** What one node performs for one call. */
export interface TorchPlan {
  readonly launcher: Launcher
  readonly node: number
  readonly worldSize: number
  readonly localWorldSize: number
  readonly firstRank: number
  readonly masterAddr: string
  readonly masterPort: string
  readonly processes: readonly PlannedProcess[]
}

/** Ranks on a node: as asked, else its GPUs, else 1. */
export function localSize(settings: Settings, node: PlanNode): number {
  return settings.nprocPerNode === 'auto' ? Math.max(1, node.gpus.length) : settings.nprocPerNode
}

/** A call's processes on one node. Pure. */
export function planTorch(input: PlanInput): TorchPlan {
  const { settings, nodes } = input
  const sizes = nodes.map((node) => localSize(settings, node))
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0)
  const shape = {
    worldSize: sum(sizes),
    localWorldSize: sizes[input.node]!,
    firstRank: sum(sizes.slice(0, input.node)),
  }
  const cwd = resolve(input.flowDir, settings.cwd ?? '.')
  const program = [...(settings.module ? ['-m'] : []), settings.entrypoint, ...settings.args]
  const shared = sharedEnvironment(input, shape)
  const python = [...input.python, '-u']
  const processes: PlannedProcess[] = []
  for (let localRank = 0; localRank < shape.localWorldSize; localRank++) {
    const rank = shape.firstRank + localRank
    const about = { name: `rank${rank}`, rank, localRank, cwd }
    const relay = [input.python[0]!, '-I', '-S', `${input.tools}/relay.py`]
    if (settings.launcher === 'torchrun') {
      processes.push({ kind: 'relay', ...about, argv: [...relay, 'stdio', input.temp, `local${localRank}`], env: {} })
      continue
    }
    const argv =
      settings.launcher === 'direct'
        ? [...python, ...program]
        : [...relay, 'fork', input.preforkDir, ...python, '--', ...program]
    processes.push({ kind: 'rank', ...about, argv, env: { ...shared, ...rankEnvironment(input, shape, localRank) } })
  }
  if (settings.launcher === 'torchrun') {
    const argv = [...input.python, '-m', 'torch.distributed.run', ...torchrunArguments(input, shape)]
    processes.push({
      kind: 'torchrun',
      name: 'torchrun',
      argv: [...argv, ...program.slice(settings.module ? 1 : 0)],
      env: { ...torchrunEnvironment(input), ...shared },
      cwd,
    })
  }
  return {
    launcher: settings.launcher,
    node: input.node,
    ...shape,
    masterAddr: input.masterAddr,
    masterPort: input.masterPort,
    processes,
  }
}

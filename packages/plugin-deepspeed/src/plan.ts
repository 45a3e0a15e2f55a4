import { delimiter, dirname } from 'node:path'
import type { TorchPlan } from '@gangflow/plugin-torchrun/ranks'
import type { DeepSpeedRunOptions } from './options.js'

export interface About {
  readonly call: Pick<DeepSpeedRunOptions, 'entrypoint' | 'localRank' | 'configArgument' | 'env'>
  readonly numNodes: number
  /** Path of the configuration. */
  readonly config: string | undefined
  /** PATH of the member. */
  readonly path: string
  /** Of every process group. */
  readonly timeoutMs: number | undefined
}

/** torch's ranks as DeepSpeed's launcher would have started them. Pure. */
export function deepspeedPlan(plan: TorchPlan, { call, numNodes, config, path, timeoutMs }: About): TorchPlan {
  const processes = plan.processes.map((rank) => {
    const at = rank.argv.indexOf(call.entrypoint, 1) + 1
    const argument = call.configArgument ?? '--deepspeed_config'
    const argv = [
      ...rank.argv.slice(0, at),
      ...(call.localRank === false ? [] : [`--local_rank=${rank.localRank}`]),
      ...rank.argv.slice(at),
      ...(config === undefined || argument === false ? [] : [argument, config]),
    ]
    const env = {
      // In minutes; DeepSpeed gives the process groups a timeout of its own.
      ...(timeoutMs === undefined ? {} : { DEEPSPEED_TIMEOUT: String(Math.ceil(timeoutMs / 60_000)) }),
      ...rank.env,
      LOCAL_SIZE: String(plan.localWorldSize),
      CROSS_RANK: String(plan.node),
      CROSS_SIZE: String(numNodes),
      // Where the interpreter's ninja is, which DeepSpeed asks for before it loads what is compiled already.
      PATH: [dirname(rank.argv[0]!), call.env?.['PATH'] ?? path].join(delimiter),
      ...(config === undefined ? {} : { GANGFLOW_DEEPSPEED_CONFIG: config }),
    }
    return { ...rank, argv, env }
  })
  return { ...plan, processes }
}

/** What ranks that are all on one member leave in shared memory, 69 MB each (shm.cpp of DeepSpeed). Pure. */
export function sharedBuffers(plan: TorchPlan, uid: number): string[] {
  if (plan.localWorldSize !== plan.worldSize) return []
  const prefix = `/dev/shm/deepspeed_allreduce_buffer_${uid}_${plan.masterAddr}_${plan.masterPort}`
  return Array.from({ length: plan.worldSize }, (_, rank) => `${prefix}_${rank}`)
}

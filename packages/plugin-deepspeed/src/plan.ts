import { delimiter, dirname } from 'node:path'
import type { TorchPlan } from '@gangflow/plugin-torchrun/ranks'
import { underLauncher } from './launcher.js'
import type { DeepSpeedRunOptions } from './options.js'

export interface About {
  readonly call: DeepSpeedRunOptions
  /** The gang's, in node order. */
  readonly nodes: readonly { readonly gpus: readonly string[] }[]
  /** Ranks of each. */
  readonly sizes: readonly number[]
  /** Path of the configuration. */
  readonly config: string | undefined
  /** PATH of the member. */
  readonly path: string
  /** Of every process group. */
  readonly timeoutMs: number | undefined
}

/** torch's ranks as DeepSpeed's launcher would have started them, or does. Pure. */
export function deepspeedPlan(plan: TorchPlan, about: About): TorchPlan {
  const { call, nodes, sizes, config, path, timeoutMs } = about
  const argument = call.configArgument ?? '--deepspeed_config'
  const tail = config === undefined || argument === false ? [] : [argument, config]
  const python = plan.processes.find(({ kind }) => kind !== 'relay')!.argv[0]!
  // In minutes; DeepSpeed gives the process groups a timeout of its own.
  const timeout = timeoutMs === undefined ? {} : { DEEPSPEED_TIMEOUT: String(Math.ceil(timeoutMs / 60_000)) }
  const env = {
    // Where the interpreter's ninja is, which DeepSpeed asks for before it loads what is compiled already.
    PATH: [dirname(python), call.env?.['PATH'] ?? path].join(delimiter),
    ...(config === undefined ? {} : { GANGFLOW_DEEPSPEED_CONFIG: config }),
  }
  if (plan.launcher === 'torchrun')
    return underLauncher(plan, call, { gpus: nodes.map(({ gpus }) => gpus), sizes, tail, env: { ...timeout, ...env } })
  const processes = plan.processes.map((rank) => {
    const at = rank.argv.indexOf(call.entrypoint, 1) + 1
    const local = call.localRank === false ? [] : [`--local_rank=${rank.localRank}`]
    const argv = [...rank.argv.slice(0, at), ...local, ...rank.argv.slice(at), ...tail]
    const place = {
      LOCAL_SIZE: String(plan.localWorldSize),
      CROSS_RANK: String(plan.node),
      CROSS_SIZE: String(nodes.length),
    }
    return { ...rank, argv, env: { ...timeout, ...rank.env, ...place, ...env } }
  })
  return { ...plan, processes }
}

/** What ranks that are all on one member leave in shared memory, 69 MB each (shm.cpp of DeepSpeed). Pure. */
export function sharedBuffers(plan: TorchPlan, uid: number): string[] {
  if (plan.localWorldSize !== plan.worldSize) return []
  const prefix = `/dev/shm/deepspeed_allreduce_buffer_${uid}_${plan.masterAddr}_${plan.masterPort}`
  return Array.from({ length: plan.worldSize }, (_, rank) => `${prefix}_${rank}`)
}

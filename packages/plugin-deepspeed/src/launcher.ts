import { rankWords, type TorchPlan } from '@gangflow/plugin-torchrun/ranks'
import { wrong } from './checks.js'
import type { DeepSpeedLauncher, DeepSpeedRunOptions } from './options.js'

const where = 'current.deepspeed.run'
/** Options of `deepspeed` that the gang decides, and what says it here. */
const decided: Readonly<Record<string, string>> = {
  H: 'the gang has its members',
  hostfile: 'the gang has its members',
  i: 'the gang has its members',
  include: 'the gang has its members',
  e: 'the gang has its members',
  exclude: 'the gang has its members',
  num_nodes: '`numParallel` says how many members there are',
  num_gpus: '`nprocPerNode` says it',
  num_accelerators: '`nprocPerNode` says it',
  world_info: '`nprocPerNode` says it',
  node_rank: 'the gang has its members',
  master_addr: 'the gang has an address that works',
  master_port: '`masterPort` of @deepspeed says it',
  launcher: "gangflow's agents start it on each member",
  launcher_args: "gangflow's agents start it on each member",
  force_multi: "gangflow's agents start it on each member",
  no_ssh: "gangflow's agents start it on each member",
  no_ssh_check: "gangflow's agents start it on each member",
  ssh_port: "gangflow's agents start it on each member",
  venv_script: '`python` of @deepspeed says it',
  autotuning: 'it starts trainings of its own by pdsh: run `deepspeed --autotuning` by hand',
  module: '`module` is an option',
  no_local_rank: '`localRank: false` says it',
  save_pid: 'it would leave a file in /tmp; the gang ends what it has started',
}
/** Those that stand alone; of every other one the next word is the value. */
const alone = new Set(['bind_cores_to_rank', 'no_python', 'q', 'quiet'])

export const launcherOf = (call: Pick<DeepSpeedRunOptions, 'launcher' | 'deepspeedArgs'>): DeepSpeedLauncher =>
  call.launcher ?? (launcherWords(call).length > 0 ? 'deepspeed' : 'direct')

/** `deepspeedArgs`, checked: throws `E_DEEPSPEED_OPTION` for one that the gang decides, and for a word that is none. Pure. */
export function launcherWords({ deepspeedArgs }: Pick<DeepSpeedRunOptions, 'deepspeedArgs'>): string[] {
  const words = rankWords(deepspeedArgs, 'deepspeedArgs', where)
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const [, name, value] = /^--?([\w-]+)(=.*)?$/s.exec(word) ?? []
    // The launcher would take it for the script.
    if (name === undefined) throw wrong(where, 'deepspeedArgs', word, 'options, each with its value if it has one')
    const plain = name.replaceAll('-', '_')
    const why = decided[plain]
    if (why !== undefined) throw wrong(where, 'deepspeedArgs', word, `no ${word}: ${why}`)
    if (!alone.has(plain) && value === undefined) at += 1
  }
  return words
}

/**
 * torch's ranks below torchrun, as ranks below DeepSpeed's launcher of a node: what `deepspeed --no_ssh` would start there,
 * without a second Python that only reads options. `gpus` are the devices of each node, `sizes` its ranks, `tail` stands
 * behind the script's own arguments. Pure.
 */
export function underLauncher(
  plan: TorchPlan,
  call: Pick<DeepSpeedRunOptions, 'entrypoint' | 'args' | 'module' | 'localRank' | 'deepspeedArgs'>,
  about: {
    readonly gpus: readonly (readonly string[])[]
    readonly sizes: readonly number[]
    readonly tail: readonly string[]
    readonly env: Readonly<Record<string, string>>
  },
): TorchPlan {
  const options = [
    `--world_info=${worldInfo(about)}`,
    `--node_rank=${plan.node}`,
    `--master_addr=${plan.masterAddr}`,
    `--master_port=${plan.masterPort}`,
    ...(call.module ? ['--module'] : []),
    ...(call.localRank === false ? ['--no_local_rank'] : []),
    ...launcherWords(call),
  ]
  const processes = plan.processes.map((planned) => {
    if (planned.kind === 'relay') {
      // As it counts, which is by the world: that matters where members have different numbers of ranks.
      const localRank = planned.rank! % plan.localWorldSize
      const folder = planned.argv.at(-2)
      const argv = [...planned.argv.slice(0, -1), `local${localRank}`]
      const env = { ...planned.env, TORCHELASTIC_ERROR_FILE: `${folder}/rank${planned.rank}.error.json` }
      return { ...planned, localRank, argv, env }
    }
    const python = planned.argv.slice(0, planned.argv.indexOf('torch.distributed.run') - 1)
    const script = [call.entrypoint, ...rankWords(call.args, 'args', where), ...about.tail]
    const argv = [...python, '-u', '-m', 'deepspeed.launcher.launch', ...options, ...script]
    // Below a torchrun that has the store itself, such as one that gangflow runs in, rank 0 would make none.
    const store = { TORCHELASTIC_USE_AGENT_STORE: 'False' }
    return { ...planned, name: 'deepspeed', argv, env: { ...planned.env, ...store, ...about.env } }
  })
  return { ...plan, processes }
}

/** Which devices each node's ranks have; of several ranks on one device, it more than once. Without any, numbers. */
function worldInfo({ gpus, sizes }: { gpus: readonly (readonly string[])[]; sizes: readonly number[] }): string {
  const devices = sizes.map((size, node) => {
    const own = gpus[node] ?? []
    return Array.from({ length: size }, (_, slot) => (own.length === 0 ? slot : own[slot % own.length]))
  })
  const info = Object.fromEntries(devices.map((of, node) => [`node${node}`, of]))
  // With its padding, which Python asks for.
  return Buffer.from(JSON.stringify(info)).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

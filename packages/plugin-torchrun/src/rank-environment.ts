import { delimiter } from 'node:path'
import type { PlanInput } from './plan.js'

export interface Shape {
  readonly worldSize: number
  readonly localWorldSize: number
  readonly firstRank: number
}

/** What all of a node's ranks, their prefork parent and torchrun share. Pure. */
export function sharedEnvironment(input: PlanInput, shape: Pick<Shape, 'localWorldSize'>): Record<string, string> {
  const { settings } = input
  const given = (name: string) => settings.env[name] ?? input.env[name]
  const path = given('PYTHONPATH')
  const gpus = input.nodes[input.node]!.gpus
  const env: Record<string, string> = { ...settings.env }
  // torchrun's rule: several ranks a node do not each start a thread for every core.
  if (shape.localWorldSize > 1 && !given('OMP_NUM_THREADS')) env['OMP_NUM_THREADS'] = '1'
  if (gpus.length > 0 && given('CUDA_VISIBLE_DEVICES') === undefined) env['CUDA_VISIBLE_DEVICES'] = gpus.join(',')
  // What the members have found to work, and not what a hostname resolves to.
  const network = networkEnvironment(input)
  for (const [name, value] of Object.entries(network)) if (given(name) === undefined) env[name] = value
  env['PYTHONPATH'] = path ? `${input.tools}/hook${delimiter}${path}` : `${input.tools}/hook`
  env['GANGFLOW_TORCH_RANK'] = rankConfig(input)
  if (settings.launcher === 'torchrun') env['GANGFLOW_OUTPUT_DIR'] = input.output
  return env
}

/** Where gloo, NCCL and torch's RPC talk: on the interface to the gang's network, whatever else the host has. Pure. */
function networkEnvironment({ masterAddr, nodes, node, platform }: PlanInput): Record<string, string> {
  const loopback = platform === 'darwin' ? 'lo0' : 'lo'
  const link = nodes[node]!.interface ?? (isLoopback(masterAddr) ? loopback : undefined)
  return {
    ...(link === undefined ? {} : { GLOO_SOCKET_IFNAME: link, TP_SOCKET_IFNAME: link }),
    // Without `=` it would be a prefix, and eth1 mean eth10 too.
    ...(link === undefined ? {} : { NCCL_SOCKET_IFNAME: `=${link}` }),
    ...(masterAddr.includes(':') ? { NCCL_SOCKET_FAMILY: 'AF_INET6' } : {}),
  }
}

/** What torchrun sets for a rank, and the rank's own directory. Pure. */
export function rankEnvironment(input: PlanInput, shape: Shape, localRank: number): Record<string, string> {
  const rank = String(shape.firstRank + localRank)
  const size = String(shape.worldSize)
  return {
    MASTER_ADDR: input.masterAddr,
    MASTER_PORT: input.masterPort,
    RANK: rank,
    LOCAL_RANK: String(localRank),
    WORLD_SIZE: size,
    LOCAL_WORLD_SIZE: String(shape.localWorldSize),
    GROUP_RANK: String(input.node),
    GROUP_WORLD_SIZE: String(input.nodes.length),
    ROLE_NAME: 'default',
    ROLE_RANK: rank,
    ROLE_WORLD_SIZE: size,
    // Of the ranks as a whole, as torchrun counts; how many more there may be is the gang's to know.
    TORCHELASTIC_RESTART_COUNT: String(input.restarts),
    TORCHELASTIC_MAX_RESTARTS: String(input.restarts),
    TORCHELASTIC_RUN_ID: input.runId,
    // Rank 0 has the store itself: there is no torchrun agent that could hold it.
    TORCHELASTIC_USE_AGENT_STORE: 'False',
    TORCHELASTIC_SIGNALS_TO_HANDLE: 'SIGTERM,SIGINT,SIGHUP,SIGQUIT',
    TORCHELASTIC_ERROR_FILE: `${input.temp}/rank${rank}.error.json`,
    TORCH_NCCL_ASYNC_ERROR_HANDLING:
      input.settings.env['TORCH_NCCL_ASYNC_ERROR_HANDLING'] ?? input.env['TORCH_NCCL_ASYNC_ERROR_HANDLING'] ?? '1',
    GANGFLOW_OUTPUT_DIR: `${input.output}/rank${rank}`,
  }
}

/** For py/hook/_gangflow_rank.py: `key=value` lines. */
function rankConfig(input: PlanInput): string {
  const lines = [`timeout=${input.settings.processGroupTimeoutMs / 1000}`]
  if (input.settings.launcher === 'torchrun') lines.push(`relay=${input.temp}`, `output=${input.output}`)
  return lines.join('\n')
}

export function isLoopback(address: string): boolean {
  return /^127\.|^localhost$|^::1$/.test(address)
}

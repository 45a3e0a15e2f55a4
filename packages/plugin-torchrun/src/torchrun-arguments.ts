import type { PlanInput } from './plan.js'
import type { Shape } from './rank-environment.js'

/** torchrun's own options for a node; the person's come last but for the deadlines, which are always set. Pure. */
export function torchrunArguments(input: PlanInput, shape: Shape): string[] {
  const { own, conf, backend } = split(input.settings.torchrunArgs)
  const seconds = Math.max(1, Math.ceil(input.settings.startTimeoutMs / 1000))
  const isStatic = backend === 'static'
  const address = input.masterAddr.includes(':') ? `[${input.masterAddr}]` : input.masterAddr
  const place = isStatic
    ? ['--node-rank', String(input.node), '--master-addr', address, '--master-port', input.masterPort]
    : ['--rdzv-endpoint', `${address}:${input.masterPort}`, ...localAddress(input)]
  const deadlines = isStatic
    ? `timeout=${seconds}`
    : `join_timeout=${seconds},timeout=${seconds},is_host=${input.node === 0}`
  return [
    ['--nnodes', String(input.nodes.length)],
    ['--nproc-per-node', String(shape.localWorldSize)],
    ['--rdzv-backend', backend],
    place,
    ['--rdzv-id', input.runId],
    ['--rdzv-conf', conf ? `${deadlines},${conf}` : deadlines],
    ['--log-dir', `${input.temp}/torchrun`],
    input.settings.module ? ['--module'] : [],
    own,
  ].flat()
}

/** Options that are taken from the environment where no word names them, and what they are without. */
const named = { STANDALONE: '0', MODULE: '0', NO_PYTHON: '0', RUN_PATH: '0', MAX_RESTARTS: '0', ROLE: 'default' }

/**
 * torchrun reads each option as `PET_OPTION` too. Where gangflow runs in a job of torchrun's or Kubeflow's, those are that
 * job's: `PET_STANDALONE` would have each node train by itself. What tunes it, such as `PET_MONITOR_INTERVAL`, stays. Pure.
 */
export function torchrunEnvironment({ env }: Pick<PlanInput, 'env'>): Record<string, string> {
  const options = Object.entries(named).map(([name, without]) => [`PET_${name}`, without] as const)
  return Object.fromEntries(options.filter(([name]) => env[name] !== undefined))
}

/** The store of the ranks is then on this address, and not on what the hostname of rank 0's node resolves to. */
function localAddress({ nodes, node }: PlanInput): string[] {
  const own = nodes[node]?.addresses?.[0]
  return own === undefined ? [] : ['--local-addr', own]
}

/** The person's torchrun options without those that are merged into ours. */
function split(args: readonly string[]): { own: string[]; conf: string; backend: string } {
  const own: string[] = []
  let conf = ''
  let backend = 'static'
  for (let at = 0; at < args.length; at++) {
    const [flag, inline] = /^(--rdzv[-_](?:conf|backend))(?:=(.*))?$/s.exec(args[at]!)?.slice(1) ?? []
    if (!flag) {
      own.push(args[at]!)
      continue
    }
    const value = inline ?? args[++at] ?? ''
    if (flag.endsWith('conf')) conf = value
    else backend = value
  }
  return { own, conf, backend }
}

/** True when torchrun itself is to restart failed ranks, so that one failure is not the end. */
export function restarts(args: readonly string[]): boolean {
  const at = args.findIndex((word) => /^--max[-_]restarts(=|$)/.test(word))
  if (at < 0) return false
  return Number(args[at]!.split('=')[1] ?? args[at + 1]) > 0
}

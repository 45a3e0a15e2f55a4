import type { EngineFailure, EnginePlace, EnginePlan } from '@gangflow/core/plugin'
import { memberPython } from '@gangflow/core/plugin'
import { inFolder, rayEnvironment } from './environment.js'
import type { Wanted } from './gcs.js'
import type { RayOptions } from './options.js'

/** What is not the roster's or the options' to say. */
export interface PlanInput {
  readonly options: RayOptions
  readonly token: string
  /** Bytes of the control's memory. */
  readonly memory: number
  /** Each node of a host after the other, however many CPUs it has. */
  readonly oneByOne?: boolean
}

export const ports = {
  head: ['gcs', 'client', 'dashboard', 'dashboard-metric'],
  each: ['raylet', 'objects', 'runtime-env', 'agent-grpc', 'agent-http', 'metrics'],
} as const

/** A planned cluster. */
export interface RayPlan extends EnginePlan {
  readonly id: string
  /** `HOST:PORT` of the GCS. */
  readonly address: string
  readonly dashboardUrl: string | undefined
  /** What each node must have, by node. */
  readonly wanted: readonly Wanted[]
  /** Of the control. */
  readonly tempDir: string
}

/** The cluster of one start. Pure. */
export function planRay(place: EnginePlace, { options, token, memory, oneByOne }: PlanInput): RayPlan {
  const { entries } = place.roster
  const addresses = entries.map(({ addresses: all }) => all[0] ?? '127.0.0.1')
  const address = joined(addresses[0]!, options.port ?? place.port(0, 'gcs'))
  const wanted = entries.map(({ node, slots, gpus }) => ({
    resources: {
      CPU: options.cpus ?? slots,
      ...(gpus.length > 0 ? { GPU: gpus.length } : {}),
      ...options.resources,
      [`gang_node_${node}`]: 1,
    } as Record<string, number>,
    raylet: joined(addresses[node]!, place.port(node, 'raylet')),
  }))
  const tempDir = (node: number) => `/tmp/gf-ray-${place.id}-${node}`
  const env = { ...rayEnvironment(address, token), DASHBOARD_METRIC_PORT: String(place.port(0, 'dashboard-metric')) }
  const start = (node: number, first: readonly string[]) => {
    const { gpus, host } = entries[node]!
    const { CPU, GPU, ...custom } = wanted[node]!.resources
    const sharing = entries.filter((one) => one.host === host).length
    // Ray takes 30 % of the machine's memory, and knows of no other node there.
    const store = options.objectStoreMemory ?? (sharing > 1 ? Math.floor((memory * 0.3) / sharing) : undefined)
    return {
      argv: [
        ...inFolder,
        tempDir(node),
        addresses[0]!,
        ...memberPython(options.python),
        ...['-m', 'ray.scripts.scripts', 'start', ...first],
        `--node-ip-address=${addresses[node]}`,
        `--num-cpus=${CPU}`,
        `--num-gpus=${GPU ?? 0}`,
        `--resources=${JSON.stringify(custom)}`,
        ...(store === undefined ? [] : [`--object-store-memory=${Math.max(store, 78_643_200)}`]),
        `--temp-dir=${tempDir(node)}`,
        `--node-manager-port=${place.port(node, 'raylet')}`,
        `--object-manager-port=${place.port(node, 'objects')}`,
        `--runtime-env-agent-port=${place.port(node, 'runtime-env')}`,
        `--dashboard-agent-grpc-port=${place.port(node, 'agent-grpc')}`,
        `--dashboard-agent-listen-port=${place.port(node, 'agent-http')}`,
        `--metrics-export-port=${place.port(node, 'metrics')}`,
        // Workers come and go: the system draws theirs.
        ...['--min-worker-port=0', '--max-worker-port=0'],
        ...(options.workerLogs === false ? ['--include-log-monitor=false'] : []),
        ...['--disable-usage-stats', '--log-style=record', '--log-color=false', '--block'],
      ],
      env: { ...env, ...(gpus.length > 0 ? { CUDA_VISIBLE_DEVICES: gpus.join(',') } : {}) },
      show: false,
      // What Ray does at its end is for nodes that stay, and its folder is removed anyway.
      stopGraceMs: 0,
    }
  }
  const head = [
    '--head',
    `--port=${address.slice(address.lastIndexOf(':') + 1)}`,
    `--ray-client-server-port=${place.port(0, 'client')}`,
    `--include-dashboard=${options.dashboard === true}`,
    `--dashboard-host=${addresses[0]}`,
    `--dashboard-port=${place.port(0, 'dashboard')}`,
    '--no-monitor',
  ]
  return {
    id: place.id,
    address,
    dashboardUrl: options.dashboard ? `http://${joined(addresses[0]!, place.port(0, 'dashboard'))}` : undefined,
    wanted,
    tempDir: tempDir(0),
    head: start(0, head),
    workers: entries.slice(1).map(({ node }) => ({
      node,
      command: start(node, [`--address=${address}`]),
      after: before(entries, node, oneByOne),
    })),
    atEnd: entries.map(({ node }) => ({ node, undo: { remove: tempDir(node) } })),
  }
}

/**
 * Whose start must be over before this node's: a start keeps two CPUs busy, and a raylet gives up when its agents do not
 * come up within 15 s. So a host starts as many at once as it has pairs of CPUs.
 */
function before(entries: EnginePlace['roster']['entries'], node: number, oneByOne = false): number[] {
  const host = entries[node]!.host
  const here = entries.filter((entry) => entry.host === host)
  const atOnce = oneByOne ? 1 : Math.max(1, Math.floor(here.reduce((sum, { slots }) => sum + slots, 0) / 2))
  const earlier = here.filter((entry) => entry.node < node).map((entry) => entry.node)
  return earlier.slice(0, Math.max(0, earlier.length - atOnce + 1))
}

const joined = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/**
 * What a node's logs say of the end of a process or of its silence, in lines of `gangflow: what`, then the log: who
 * ended (`ray start` writes that down, once it has started all), who is stopped or not there, what a raylet that gave up
 * said. `$1` is the node's folder, the rest who is to be there.
 */
const logScript = `cd "$1/session_latest/logs" 2>/dev/null || exit 0
[ -s ray_process_exit.log ] && tail -n 12 ray_process_exit.log
for p in /proc/[0-9]*; do
  read -r name 2>/dev/null < $p/comm || continue
  case $name in raylet | gcs_server) ;; *) continue ;; esac
  tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q -- "$1/" || continue
  running="$running $name"
  case $(sed -n 's/^State:[[:space:]]*//p' $p/status) in T*) echo "gangflow: $name is stopped, pid \${p#/proc/}" ;; esac
done
shift
[ -s ray_process_exit.log ] || for name; do
  case "$running " in *" $name "*) ;; *) echo "gangflow: $name is not running" ;; esac
done
[ -s ray_process_exit.log ] || for f in gcs_server.err raylet.err dashboard_agent.err runtime_env_agent.err; do
  # Without the stacks of what crashed, and what echoes them.
  grep -vE '\\(\\+0x|^ *$|Failed to establish connection to the event' $f 2>/dev/null | tail -n 4 | sed "s/^/$f: /"
done
grep -hE 'Check failed|is dead because|Health check failed|Failed to connect to GCS' raylet.out gcs_server.out 2>/dev/null | tail -n 4
:`

export function logsOf(plan: Pick<RayPlan, 'id'>, node: number, kind: EngineFailure['kind']): { argv: string[] } {
  // Of one that was there, and does not answer, it counts who is gone.
  const runs = kind === 'silent' ? [...(node === 0 ? ['gcs_server'] : []), 'raylet'] : []
  return { argv: ['/bin/sh', '-c', logScript, 'sh', `/tmp/gf-ray-${plan.id}-${node}`, ...runs] }
}

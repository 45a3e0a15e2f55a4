import { GangflowError } from '@gangflow/core'
import type { RayPlan } from './plan.js'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Makes the folder `$1`, which no other user may look into, and becomes the command, without what a shell in another Ray's
 * job or node has of that: its Redis, its resources, its jobs' runtime environment and API. To the head at `$2` nobody goes
 * by a proxy: Ray's own clients of its HTTP API would.
 */
export const inFolder = [
  '/bin/sh',
  '-c',
  `mkdir -m 700 -- "$1" || exit
unset RAY_REDIS_ADDRESS RAY_OVERRIDE_RESOURCES RAY_JOB_CONFIG_JSON_ENV_VAR RAY_API_SERVER_ADDRESS
no_proxy=\${no_proxy:-$NO_PROXY}
no_proxy=\${no_proxy:+$no_proxy,}$2
export no_proxy NO_PROXY="$no_proxy"
shift 2 && exec "$@"`,
  'sh',
]

/** What the nodes and every driver of a cluster share. Without its address, workers would look for a Ray on the machine. */
export function rayEnvironment(address: string, token: string): Record<string, string> {
  return {
    RAY_ADDRESS: address,
    RAY_AUTH_MODE: 'token',
    RAY_AUTH_TOKEN: token,
    RAY_USE_TLS: '0',
    RAY_USAGE_STATS_ENABLED: '0',
    RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S: '0',
    PYTHONUNBUFFERED: '1',
  }
}

/** And drivers alone: lines which several workers print alike all come, plain. `env` is the member's own. */
export function driverEnvironment(
  plan: Pick<RayPlan, 'address' | 'dashboardUrl'>,
  token: string,
  env: Environment = process.env,
): Record<string, string> {
  const host = plan.address.slice(0, plan.address.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  return {
    ...rayEnvironment(plan.address, token),
    RAY_DEDUP_LOGS: '0',
    RAY_COLOR_PREFIX: '0',
    // It comes before every address that a program gives. Empty, it is none.
    RAY_API_SERVER_ADDRESS: plan.dashboardUrl ?? '',
    // Of a Ray job that gangflow itself runs in: each driver would be given what that job has.
    ...(env['RAY_JOB_CONFIG_JSON_ENV_VAR'] === undefined ? {} : { RAY_JOB_CONFIG_JSON_ENV_VAR: '{}' }),
    ...withoutProxy(host, env),
  }
}

/** Where programs go by a proxy: not to this host. */
function withoutProxy(host: string, env: Environment): Record<string, string> {
  if (!Object.keys(env).some((name) => /^(?:https?|all)_proxy$/i.test(name))) return {}
  const hosts = [env['no_proxy'] || env['NO_PROXY'], host].filter(Boolean).join(',')
  return { no_proxy: hosts, NO_PROXY: hosts }
}

/** Throws `E_RAY_OPTION` where Ray is to speak TLS, which a cluster of an attempt has no certificates for. */
export function refuseTls(step: string, env: Environment = process.env): void {
  if (!/^(?:1|true)$/i.test(env['RAY_USE_TLS'] ?? '')) return
  throw new GangflowError({
    code: 'E_RAY_OPTION',
    what: "RAY_USE_TLS is set, and @ray's cluster speaks no TLS: it is closed by a token of the attempt",
    fix: "unset it where gangflow is started, or for this step: @environment({ vars: { RAY_USE_TLS: '0' } })",
    step,
  })
}

import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { gangTimeouts } from '../decorators/gang-timeouts.js'
import { milliseconds } from '../errors/duration.js'
import type { ResumeOptions, RunOptions } from '../runtime/contract.js'
import type { RunRequest } from '../runtime/run.js'
import { findConfig, loadConfig } from './config-file.js'
import { mergeOptions } from './options.js'

/** A run's options, merged and checked. */
export interface Settings {
  readonly options: RunOptions
  readonly request: RunRequest
}

/** Flags, then the environment, then the config file (DESIGN §5); throws `E_OPTION` and `E_CONFIG`. */
export async function readSettings(
  file: string,
  given: RunOptions & ResumeOptions,
  resuming: boolean,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Settings> {
  const path = findConfig(resolve(file))
  const config = path === undefined ? undefined : { path, content: await loadConfig(path) }
  const options = mergeOptions(given, env, config)
  const { origin, from, inspect, timeout, dryRun, detach, detachable } = options
  const request: RunRequest = {
    file: resolve(file),
    user: userName(env),
    tags: options.tags ?? [],
    env: options.env ?? {},
    ...(timeout === undefined ? {} : { timeoutMs: milliseconds(timeout) }),
    ...(inspect ? { inspect } : {}),
    ...(dryRun ? { dryRun } : {}),
    ...(detach ? { detach } : {}),
    ...(detachable ? { detachable } : {}),
    ...(options.maxWorkers === undefined ? {} : { maxWorkers: options.maxWorkers }),
    ...(options.gangTimeouts ? { gangTimeouts: gangTimeouts('gangTimeouts', options.gangTimeouts) } : {}),
    ...(resuming ? { resume: { ...(origin ? { origin } : {}), ...(from ? { from } : {}) } } : {}),
  }
  return { options, request }
}

function userName(env: NodeJS.ProcessEnv): string {
  const named = env['GANGFLOW_USER'] ?? env['SUDO_USER'] ?? env['USER'] ?? env['USERNAME']
  if (named) return named
  try {
    return userInfo().username
  } catch {
    return 'unknown'
  }
}

import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { memberPython } from '@gangflow/core/plugin'
import { wrong } from './checks.js'
import { driverEnvironment } from './environment.js'
import { masked } from './mask.js'
import type { RayExecOptions, RayResult, RayRunOptions } from './options.js'
import type { Session } from './session.js'
import { type DriverSettings, settleExec, settleRun } from './settings.js'
import { failedWorker } from './train.js'

/** A driver of the cluster, to its end. */
export async function runDriver(session: Session, call: RayRunOptions): Promise<RayResult> {
  const settings = settleRun(call)
  const cwd = folderOf(session, settings.cwd, 'current.ray.run')
  const [script] = settings.words
  if (!statSync(resolve(cwd, script!), { throwIfNoEntry: false })?.isFile())
    throw wrong(
      'current.ray.run',
      'entrypoint',
      script,
      `the path of a Python script; there is no ${resolve(cwd, script!)}`,
    )
  // As Ray's own jobs do it: `ray.init()` reads it.
  const config =
    call.runtimeEnv === undefined
      ? {}
      : { RAY_JOB_CONFIG_JSON_ENV_VAR: JSON.stringify({ runtime_env: call.runtimeEnv, metadata: {} }) }
  const argv = [...memberPython(session.options.python), '-u', ...settings.words]
  return perform(session, {
    ...settings,
    argv,
    cwd,
    env: { ...config, ...settings.env },
    name: 'driver',
    shown: script!,
  })
}

/** Any command beside the cluster; `ray` and `python` are those of the cluster's interpreter. */
export async function execDriver(
  session: Session,
  command: readonly string[],
  call: RayExecOptions,
): Promise<RayResult> {
  const settings = settleExec(command, call)
  const cwd = folderOf(session, settings.cwd, 'current.ray.exec')
  const [program, ...args] = settings.words
  const python = memberPython(session.options.python)
  const argv =
    program === 'ray'
      ? [...python, '-m', 'ray.scripts.scripts', ...args]
      : /^python3?$/.test(program!)
        ? [...python, ...args]
        : [...settings.words]
  return perform(session, { ...settings, argv, cwd, name: 'exec', shown: settings.words.join(' ').slice(0, 200) })
}

async function perform(
  session: Session,
  driver: DriverSettings & { argv: string[]; cwd: string; name: string; shown: string },
): Promise<RayResult> {
  const { gang, plan, token, cluster } = session
  const number = ++session.calls
  const env = { ...driverEnvironment(plan, token), ...driver.env }
  const { argv, cwd, timeoutMs } = driver
  void gang.record(`ray-${driver.name}-${number}`, { argv, cwd, env: masked(env) }).catch(() => {})
  const name = number === 1 ? driver.name : `${driver.name}-${number}`
  let result: RayResult & { readonly node?: number }
  try {
    result = await cluster.run({ name, argv, env, cwd }, timeoutMs === undefined ? {} : { timeoutMs })
  } catch (cause) {
    if (!(cause instanceof GangflowError) || cause.code !== 'E_GANG_EXEC_TIMEOUT') throw cause
    throw new GangflowError(
      {
        code: 'E_RAY_TIMEOUT',
        what: `${driver.shown} did not end within ${timeoutMs} ms; it was stopped`,
        fix: 'see its log, or give it a longer `timeout`',
        step: gang.step,
        node: 0,
      },
      { cause },
    )
  }
  const { exitCode, signal, stdout, stderr, durationMs } = result
  if (driver.check && exitCode !== 0) {
    const how = signal ? `was ended by ${signal}` : `ended with exit code ${exitCode}`
    const worker = failedWorker(stderr)
    const lastLines = worker?.lines ?? stderr.trim().split('\n').slice(-30)
    const why = worker?.what ?? lastLines.at(-1)
    throw new GangflowError({
      code: 'E_RAY_DRIVER',
      what: `${driver.shown} ${how}${why ? `: ${why}` : ''}`,
      fix: `see its traceback in the log of ${name}`,
      step: gang.step,
      node: 0,
      host: gang.roster.entries[0]!.host,
      ...(worker === undefined ? {} : { rank: worker.rank }),
      details: { exitCode, signal, process: name, lastLines },
    })
  }
  return { exitCode, signal, stdout, stderr, durationMs }
}

function folderOf({ gang }: Session, cwd: string | undefined, where: string): string {
  const folder = resolve(gang.flowDir, cwd ?? '.')
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw wrong(where, 'cwd', cwd, `a folder, absolute or relative to the flow file's; there is no ${folder}`)
  return folder
}

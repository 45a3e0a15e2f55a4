import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { memberPython } from '@gangflow/core/plugin'
import { wrong } from './checks.js'
import type { DaskResult, DaskRunOptions } from './options.js'
import type { Session } from './session.js'
import { settle } from './settings.js'

/** `current.dask` of a step with `@dask`. */
export interface Dask {
  /** `tls://HOST:PORT` of the scheduler. */
  readonly address: string
  /** With `@dask({ dashboard: true })` and bokeh: on the control's loopback address. */
  readonly dashboardUrl: string | undefined
  /** What a client needs in its environment, so that `Client()` finds the cluster and gets in. */
  readonly env: Readonly<Record<string, string>>
  /** From the first start until every worker was there. */
  readonly startedMs: number
  /**
   * Runs a Python script as a client on the control, to its end.
   * @throws GangflowError `E_DASK_CLIENT`, unless `check: false`; `E_DASK_TIMEOUT`; the cluster's error when that fails
   */
  run(options: DaskRunOptions): Promise<DaskResult>
}

export function makeDask(session: Session): Dask {
  const { plan, cluster } = session
  return {
    address: plan.address,
    dashboardUrl: session.hasDashboard ? `http://127.0.0.1:${plan.httpPort}/status` : undefined,
    env: plan.clientEnv,
    startedMs: cluster.startedMs,
    async run(call) {
      session.open += 1
      try {
        return await perform(session, call)
      } finally {
        session.open -= 1
      }
    },
  }
}

async function perform(session: Session, call: DaskRunOptions): Promise<DaskResult> {
  const { gang, options, plan, cluster } = session
  const { words, timeoutMs } = settle(call)
  const cwd = resolve(gang.flowDir, call.cwd ?? '.')
  if (!statSync(resolve(cwd, call.entrypoint), { throwIfNoEntry: false })?.isFile())
    throw wrong(
      'current.dask.run',
      'entrypoint',
      call.entrypoint,
      `the path of a Python script; there is no ${resolve(cwd, call.entrypoint)}`,
    )
  const number = ++session.calls
  const argv = [...memberPython(options.python), '-u', ...words]
  void gang.record(`dask-client-${number}`, { argv, cwd }).catch(() => {})
  const name = number === 1 ? 'client' : `client-${number}`
  const facts = { step: gang.step, node: 0, host: gang.roster.entries[0]!.host }
  let result: DaskResult & { readonly node?: number }
  try {
    const command = { name, argv, cwd, env: { ...plan.clientEnv, ...call.env } }
    result = await cluster.run(command, timeoutMs === undefined ? {} : { timeoutMs })
  } catch (cause) {
    if (!(cause instanceof GangflowError) || cause.code !== 'E_GANG_EXEC_TIMEOUT') throw cause
    throw new GangflowError(
      {
        ...facts,
        code: 'E_DASK_TIMEOUT',
        what: `${call.entrypoint} did not end within ${timeoutMs} ms; it was stopped`,
        fix: 'see its log, or give it a longer `timeout`',
      },
      { cause },
    )
  }
  const { exitCode, signal, stdout, stderr, durationMs } = result
  if (exitCode !== 0 && call.check !== false) {
    const last = stderr.trim().split('\n').at(-1)
    throw new GangflowError({
      ...facts,
      code: 'E_DASK_CLIENT',
      what: `${call.entrypoint} ${signal ? `was ended by ${signal}` : `ended with exit code ${exitCode}`}${last ? `: ${last}` : ''}`,
      fix: `see its traceback in the log of ${name}`,
      details: { exitCode, signal, process: name },
    })
  }
  return { exitCode, signal, stdout, stderr, durationMs }
}

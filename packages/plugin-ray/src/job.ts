import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { GangflowError } from '@gangflow/core'
import { memberPython } from '@gangflow/core/plugin'
import { ask, comeUp, firstLine } from './dashboard.js'
import { driverEnvironment } from './environment.js'
import { JobLog } from './job-log.js'
import type { RayJobResult, RayJobStatus, RaySubmitOptions } from './options.js'
import type { Session } from './session.js'
import { settleSubmit } from './settings.js'

/** Between two looks at a job's log and its status. */
const LOOK_MS = 200
/** For what a job wrote last. */
const LAST_MS = 10_000

interface JobInfo {
  readonly status: RayJobStatus
  readonly message?: string | null
  readonly driver_exit_code?: number | null
}

/** A Ray job, to its end: its log as it is written, and its driver's own exit code. */
export async function submitJob(session: Session, call: RaySubmitOptions): Promise<RayJobResult> {
  const { gang, plan } = session
  const settings = settleSubmit(call)
  if (plan.dashboardUrl === undefined)
    throw new GangflowError({
      code: 'E_RAY_DASHBOARD',
      what: 'current.ray.submit needs the dashboard: Ray takes jobs there alone',
      fix: '@ray({ dashboard: true }), or current.ray.run, which needs none',
      step: gang.step,
    })
  const began = performance.now()
  session.calls += 1
  const id = settings.submissionId ?? `gangflow_${randomBytes(8).toString('hex')}`
  const job = {
    // The driver's folder would else be one of Ray's own; with a `working_dir` it is the copy of that.
    entrypoint: settings.runtimeEnv?.['working_dir'] ? settings.entrypoint : within(gang.flowDir, settings.entrypoint),
    submission_id: id,
    ...(settings.runtimeEnv === undefined ? {} : { runtime_env: settings.runtimeEnv }),
    ...(settings.metadata === undefined ? {} : { metadata: settings.metadata }),
  }
  void gang.record(`ray-job-${id}`, { ...job } as never).catch(() => {})
  const over = new AbortController()
  const signal = AbortSignal.any([gang.signal, over.signal])
  const log = new JobLog(`${plan.tempDir}/session_latest/logs/job-driver-${id}.log`)
  try {
    return await Promise.race([session.cluster.failed, follow()])
  } finally {
    over.abort()
    // What it wrote before it, or the cluster, ended.
    await log.show(AbortSignal.timeout(LAST_MS)).catch(() => {})
    await log.close()
  }

  async function follow(): Promise<RayJobResult> {
    await comeUp(session, signal)
    if (hasFiles(settings.runtimeEnv)) await sendWithFiles(session, id, job)
    else await ask(session, 'POST', '/api/jobs/', job, signal)
    for (;;) {
      const info = await ask<JobInfo>(session, 'GET', `/api/jobs/${id}`, undefined, signal)
      await log.show(signal)
      if (info.status !== 'PENDING' && info.status !== 'RUNNING') return end(info)
      if (settings.timeoutMs !== undefined && performance.now() - began > settings.timeoutMs) {
        await ask(session, 'POST', `/api/jobs/${id}/stop`, {}, signal)
        throw jobError(
          session,
          id,
          'E_RAY_TIMEOUT',
          `did not end within ${settings.timeoutMs} ms; it was stopped`,
          log.text,
        )
      }
      await sleep(LOOK_MS, undefined, { signal })
    }
  }

  function end({ status, message, driver_exit_code: code }: JobInfo): RayJobResult {
    const exitCode = code !== null && code !== undefined && code >= 0 ? code : null
    const durationMs = performance.now() - began
    const result = { submissionId: id, status, exitCode, message: message ?? '', logs: log.text, durationMs }
    if (status === 'SUCCEEDED' || settings.check === false) return result
    const how = status === 'STOPPED' ? 'was stopped' : exitCode === null ? 'failed' : `ended with exit code ${exitCode}`
    throw jobError(
      session,
      id,
      'E_RAY_JOB',
      exitCode === null ? `${how}: ${firstLine(message)}` : how,
      log.text,
      exitCode,
    )
  }
}

/**
 * By Ray's own client, a Python process, which takes the files that the runtime environment names to the cluster; Ray
 * refuses local paths otherwise.
 */
async function sendWithFiles({ gang, plan, token, options, cluster }: Session, id: string, job: object): Promise<void> {
  const script = `import json, sys
from ray.job_submission import JobSubmissionClient
JobSubmissionClient(sys.argv[1]).submit_job(**json.load(sys.stdin))`
  const { exitCode, stderr } = await cluster.run({
    name: `${id}-files`,
    argv: [...memberPython(options.python), '-c', script, plan.dashboardUrl!],
    env: driverEnvironment(plan, token),
    cwd: gang.flowDir,
    stdin: new TextEncoder().encode(JSON.stringify(job)),
    show: false,
  })
  if (exitCode === 0) return
  throw new GangflowError({
    code: 'E_RAY_JOB',
    what: `the Ray job ${id} could not be submitted: ${firstLine(stderr.trim().split('\n').at(-1))}`,
    fix: 'correct its `runtimeEnv`: paths are relative to the folder of the flow file',
    step: gang.step,
    node: 0,
    details: { lastLines: stderr.trim().split('\n').slice(-30) },
  })
}

/** Whether a runtime environment names files of this machine: a folder, a requirements file. */
function hasFiles(env: Readonly<Record<string, unknown>> | undefined): boolean {
  const isPath = (value: unknown) => typeof value === 'string' && !/^[a-z][a-z0-9+]*:\/\//.test(value)
  const { working_dir, py_modules, pip, uv, conda } = env ?? {}
  const modules = Array.isArray(py_modules) ? py_modules : []
  return isPath(working_dir) || modules.some(isPath) || [pip, uv, conda].some((one) => typeof one === 'string')
}

const within = (folder: string, command: string): string => `cd '${folder.replaceAll("'", "'\\''")}' && ${command}`

function jobError(
  { gang }: Session,
  id: string,
  code: 'E_RAY_JOB' | 'E_RAY_TIMEOUT',
  how: string,
  logs: string,
  exitCode: number | null = null,
): GangflowError {
  return new GangflowError({
    code,
    what: `the Ray job ${id} ${how}`,
    fix:
      code === 'E_RAY_TIMEOUT' ? 'give it a longer `timeout`' : 'see what it wrote, above and in the log of the body',
    step: gang.step,
    node: 0,
    details: { exitCode, lastLines: logs.trim().split('\n').slice(-30) },
  })
}

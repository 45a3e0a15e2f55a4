import { randomBytes } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { request as httpRequest, type RequestOptions } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { GangflowError } from '@gangflow/core'
import { signalWithin } from '@gangflow/core/plugin'
import type { RayJobResult, RayJobStatus, RaySubmitOptions } from './options.js'
import type { Session } from './session.js'
import { settleSubmit } from './settings.js'

/** Between two looks at a job's log and its status. */
const LOOK_MS = 200
/** One request to the dashboard. */
const ANSWER_MS = 30_000
/** The dashboard comes up after the nodes; so long it has. */
const READY_MS = 60_000
const KEPT = 1024 * 1024

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
    // The driver's folder would else be one of Ray's own.
    entrypoint: `cd '${gang.flowDir.replaceAll("'", "'\\''")}' && ${settings.entrypoint}`,
    submission_id: id,
    ...(settings.runtimeEnv === undefined ? {} : { runtime_env: settings.runtimeEnv }),
    ...(settings.metadata === undefined ? {} : { metadata: settings.metadata }),
  }
  void gang.record(`ray-job-${id}`, { ...job } as never).catch(() => {})
  const over = new AbortController()
  const signal = AbortSignal.any([gang.signal, over.signal])
  const log = new LiveLog(`${plan.tempDir}/session_latest/logs/job-driver-${id}.log`)
  try {
    return await Promise.race([session.cluster.failed, follow()])
  } finally {
    over.abort()
    await log.close()
  }

  async function follow(): Promise<RayJobResult> {
    await submit(session, job, signal)
    for (;;) {
      const info = await ask<JobInfo>(session, 'GET', `/api/jobs/${id}`, undefined, signal)
      await log.show()
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

/** What a job's driver writes, as it is written: it runs on the control, and so do we. */
class LiveLog {
  #file: FileHandle | undefined
  #at = 0
  text = ''

  constructor(private readonly path: string) {}

  async show(): Promise<void> {
    this.#file ??= await open(this.path).catch(() => undefined)
    if (!this.#file) return
    const buffer = Buffer.alloc(65_536)
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#at)
      if (bytesRead === 0) return
      this.#at += bytesRead
      const piece = buffer.subarray(0, bytesRead)
      process.stdout.write(Buffer.from(piece))
      this.text = (this.text + piece.toString('utf8')).slice(-KEPT)
    }
  }

  async close(): Promise<void> {
    await this.show().catch(() => {})
    await this.#file?.close().catch(() => {})
  }
}

/** Until the dashboard takes it: it comes up after the nodes. */
async function submit(session: Session, job: object, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READY_MS
  for (;;) {
    try {
      await ask(session, 'POST', '/api/jobs/', job, signal)
      return
    } catch (error) {
      // Refused connections, and 5xx while its parts come up; what it says otherwise is its answer.
      const isEarly = !(error instanceof GangflowError) || /^5/.test(String(error.details?.['status'] ?? ''))
      if (!isEarly || signal.aborted || performance.now() > deadline) throw error
      await sleep(LOOK_MS, undefined, { signal })
    }
  }
}

async function ask<T>(session: Session, method: string, path: string, body: unknown, signal: AbortSignal): Promise<T> {
  const { status, text } = await request(`${session.plan.dashboardUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${session.token}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signalWithin(ANSWER_MS, signal),
  })
  if (status >= 200 && status < 300) return JSON.parse(text) as T
  throw new GangflowError({
    code: 'E_RAY_JOB',
    what: `Ray's dashboard answered ${method} ${path} with ${status}: ${firstLine(text.trim().split('\n').at(-1))}`,
    fix: 'correct the job as it says; the whole answer is in the details',
    step: session.gang.step,
    details: { status, answer: text.slice(0, 4000) },
  })
}

/** Not by `fetch`, whose headers are a browser's: the dashboard takes no jobs from those. */
function request(
  url: string,
  { body, ...options }: RequestOptions & { readonly body: string | undefined },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(url, options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

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

const firstLine = (text: string | null | undefined): string => (text ?? '').split('\n')[0]!.slice(0, 500)

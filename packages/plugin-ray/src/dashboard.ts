import { Agent, request as httpRequest, type RequestOptions } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { GangflowError } from '@gangflow/core'
import type { Session } from './session.js'

/** One request to the dashboard. */
const ANSWER_MS = 30_000
/** It comes up after the nodes; so long it has. */
const READY_MS = 60_000
/** So long it may refuse while it is busy; when it has died, the cluster's own watch has said so by then. */
const AWAY_MS = 15_000
const LOOK_MS = 200
/** Of its own: Node's goes by the person's proxy where NODE_USE_ENV_PROXY is set. */
const direct = new Agent({ keepAlive: true, timeout: 5_000 })

/** Settles when the dashboard takes jobs. */
export async function comeUp(session: Session, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READY_MS
  for (;;) {
    try {
      await once(session, 'GET', '/api/jobs/', undefined, signal)
      return
    } catch (error) {
      // Refused connections, and 5xx while its parts come up; what it says otherwise is its answer.
      const isEarly = !(error instanceof GangflowError) || /^5/.test(String(error.details?.['status'] ?? ''))
      if (signal.aborted || !isEarly) throw error
      if (performance.now() > deadline) throw away(session, error)
      await sleep(LOOK_MS, undefined, { signal })
    }
  }
}

/** Its answer. A connection that fails is tried again for 15 s: a POST is repeated only where it was refused. */
export async function ask<T>(
  session: Session,
  method: 'GET' | 'POST',
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<T> {
  const deadline = performance.now() + AWAY_MS
  for (;;) {
    try {
      return await once<T>(session, method, path, body, signal)
    } catch (error) {
      if (signal.aborted || error instanceof GangflowError) throw error
      const mayRepeat = method === 'GET' || (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
      if (!mayRepeat || performance.now() > deadline) throw away(session, error)
      await sleep(LOOK_MS, undefined, { signal })
    }
  }
}

async function once<T>(session: Session, method: string, path: string, body: unknown, signal: AbortSignal): Promise<T> {
  const { status, text } = await request(`${session.plan.dashboardUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${session.token}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
    timeout: ANSWER_MS,
    signal,
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
    const asked = httpRequest(url, { ...options, agent: direct }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)))
    asked.end(body)
  })
}

const away = (session: Session, cause: unknown): GangflowError =>
  new GangflowError(
    {
      code: 'E_RAY_JOB',
      what: `Ray's dashboard does not answer at ${session.plan.dashboardUrl}: ${firstLine((cause as Error).message)}`,
      fix: 'see dashboard.log among the logs of Ray, or use current.ray.run, which needs no dashboard',
      step: session.gang.step,
      node: 0,
    },
    { cause },
  )

export const firstLine = (text: string | null | undefined): string => (text ?? '').split('\n')[0]!.slice(0, 500)

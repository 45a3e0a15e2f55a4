import { Agent, get } from 'node:http'
import { connect } from 'node:tls'
import { within } from '@gangflow/core/plugin'
import type { Certificate } from './certificate.js'
import type { DaskPlan } from './plan.js'

/** How long one worker may take to answer, in milliseconds, before it is asked anew. */
const WORKER_MS = 1_000

/** Of its own: Node's goes by the person's proxy where NODE_USE_ENV_PROXY is set, to this machine too. */
const direct = new Agent({ keepAlive: true, timeout: 5_000 })

/** A worker as the scheduler has it; `at` grows with each of its signs of life. */
export interface WorkerState {
  readonly node: number
  readonly at: number
  /** Takes no new tasks: its memory is above 80 % of its limit, and what could be spilled has been. */
  readonly isPaused: boolean
  /** Bytes of the process. */
  readonly memory: number
  /** Bytes; 0: none. */
  readonly limit: number
}

/** What the scheduler knows of its workers, by their names; rejects while it does not answer. */
export async function workersOf(plan: DaskPlan, signal: AbortSignal): Promise<WorkerState[]> {
  const { workers } = JSON.parse(await text(plan.httpPort, '/json/identity.json', signal)) as Identity
  return Object.values(workers).map(({ name, last_seen, status, memory_limit, metrics }) => ({
    node: Number(/^node(\d+)$/.exec(name)?.[1] ?? -1),
    at: last_seen,
    isPaused: status === 'paused',
    memory: metrics?.memory ?? 0,
    limit: memory_limit ?? 0,
  }))
}

/** Of /json/identity.json, what is read here. */
interface Identity {
  readonly workers: Readonly<
    Record<
      string,
      {
        readonly name: string
        readonly last_seen: number
        readonly status: string
        readonly memory_limit: number | null
        readonly metrics?: { readonly memory?: number }
      }
    >
  >
}

/** Of these, the nodes whose worker shakes hands by TLS, which a process that is stopped does not. */
export async function answering(
  plan: DaskPlan,
  nodes: readonly number[],
  certificate: Certificate,
  signal: AbortSignal,
): Promise<number[]> {
  const does = await within(WORKER_MS, [signal], (limit) =>
    Promise.all(
      nodes.map(async (node) => {
        const address = plan.workerAddresses[node]
        return address !== undefined && (await shakes(address, certificate, limit))
      }),
    ),
  )
  return nodes.filter((_, index) => does[index])
}

/** What the scheduler serves in place of a dashboard where there is no bokeh. */
export const dashboardMissing = async (plan: DaskPlan, signal: AbortSignal): Promise<boolean> =>
  /needs bokeh|Dask needs /.test(await text(plan.httpPort, '/status', signal))

function text(port: number, path: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, path, agent: direct, signal }, (response) => {
      let all = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        all += piece
      })
      response.on('end', () =>
        response.statusCode === 200 ? resolve(all) : reject(new Error(`HTTP ${response.statusCode}`)),
      )
      response.on('error', reject)
    })
    asked.on('error', reject)
  })
}

function shakes(
  address: { readonly host: string; readonly port: number },
  { key, cert }: Certificate,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    // By its key, not by a name: the certificate is the attempt's own, on every member.
    const socket = connect({ ...address, key, cert, ca: cert, checkServerIdentity: () => undefined })
    const settle = (does: boolean) => () => {
      signal.removeEventListener('abort', give)
      // With a farewell: the worker would log each one that goes without.
      if (does) socket.end()
      else socket.destroy()
      resolve(does)
    }
    const give = settle(false)
    signal.addEventListener('abort', give, { once: true })
    socket.once('secureConnect', settle(true))
    socket.once('error', give)
    socket.once('close', give)
  })
}

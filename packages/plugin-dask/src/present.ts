import { get } from 'node:http'
import { connect } from 'node:tls'
import type { Certificate } from './certificate.js'
import type { DaskPlan } from './plan.js'

/** How long one worker may take to answer, in milliseconds, before it is asked anew. */
const WORKER_MS = 1_000

/**
 * The nodes whose worker shakes hands by TLS, which a process that is stopped does not; none before the scheduler counts
 * them all. Rejects while the scheduler does not answer.
 */
export async function present(plan: DaskPlan, certificate: Certificate, signal: AbortSignal): Promise<number[]> {
  const { workers } = JSON.parse(await text(plan.httpPort, '/json/counts.json', signal)) as { workers: number }
  if (workers < plan.workerAddresses.length) return []
  const limit = AbortSignal.any([signal, AbortSignal.timeout(WORKER_MS)])
  const answered = await Promise.all(
    plan.workerAddresses.map(async (address, node) => ((await shakes(address, certificate, limit)) ? [node] : [])),
  )
  return answered.flat()
}

function text(port: number, path: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, path, signal }, (response) => {
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
      socket.destroy()
      resolve(does)
    }
    const give = settle(false)
    signal.addEventListener('abort', give, { once: true })
    socket.once('secureConnect', settle(true))
    socket.once('error', give)
    socket.once('close', give)
  })
}

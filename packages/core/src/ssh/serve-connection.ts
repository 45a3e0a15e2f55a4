import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Connection, ServerChannel } from 'ssh2'
import { ChannelStream } from './channel.js'
import type { MeshHost } from './contract.js'
import { hearLateRequests } from './late-requests.js'
import { serveSession } from './serve-session.js'

/** The subsystem on which members speak to each other. */
export const CONTROL = 'gangflow'

/** What a connection that has authenticated may use. */
export interface Services {
  host: MeshHost | undefined
  /** Nothing new is served any more. */
  closing: boolean
  control(stream: Duplex, from: string): void
}

export function serveConnection(connection: Connection, from: string, services: Services): void {
  hearLateRequests(connection)
  connection.on('session', (accept) => serveSession(accept(), from, services))
  connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
    forward(() => connect({ host: destIP, port: destPort, noDelay: true }), services, accept, reject)
  })
  connection.on('openssh.streamlocal' as 'tcpip', (accept, reject, info) => {
    forward(() => connect((info as unknown as { socketPath: string }).socketPath), services, accept, reject)
  })
}

/** The channel opens when the connection stands: who asked is told that nobody listens there. */
function forward(
  dial: () => ReturnType<typeof connect>,
  services: Services,
  accept: () => ServerChannel,
  reject: () => void,
): void {
  if (!services.host || services.closing) return void reject()
  let socket: ReturnType<typeof connect>
  try {
    socket = dial()
  } catch {
    return void reject()
  }
  socket.once('error', reject)
  socket.once('connect', () => {
    socket.off('error', reject)
    socket.on('error', () => {})
    const stream = new ChannelStream(accept())
    const both = [pipeline(stream, socket), pipeline(socket, stream)]
    for (const one of both) one.catch(() => {})
  })
}

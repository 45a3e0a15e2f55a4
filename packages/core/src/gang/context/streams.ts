import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GangflowError } from '../../errors/base.js'
import { call, checkNode, type Link } from './link.js'

/** Byte streams between members' bodies, through their agents: one connection each, with back-pressure end to end. */
export function streams(link: Link) {
  const queues = new Map<string, { waiting: Duplex[]; wake?: (() => void) | undefined }>()
  link.on('gang.stream', (data) => {
    const { channel, token, socket } = data as { channel: string; token: string; socket: string }
    const queue = queues.get(channel)
    if (!queue) return
    dial(socket, token).then(
      (stream) => {
        queue.waiting.push(stream)
        queue.wake?.()
      },
      () => {}, // The other side has given up meanwhile.
    )
  })
  return {
    async connect(node: number, channel: string): Promise<Duplex> {
      const { result } = await call(link, 'gang.connect', { node: checkNode(link, node), channel })
      const { token, socket } = result as { token: string; socket: string }
      return dial(socket, token)
    },

    async *listen(channel: string): AsyncIterable<Duplex> {
      if (queues.has(channel)) {
        throw new GangflowError({
          code: 'E_GANG_CHANNEL',
          what: `this body listens on the channel '${channel}' already`,
          fix: 'read from one listener, or use another name',
        })
      }
      const queue: { waiting: Duplex[]; wake?: (() => void) | undefined } = { waiting: [] }
      queues.set(channel, queue)
      const release = link.peer.hold()
      const aborted = () => queue.wake?.()
      link.signal.addEventListener('abort', aborted)
      try {
        await call(link, 'gang.listen', { channel })
        while (!link.signal.aborted) {
          const stream = queue.waiting.shift()
          if (stream) yield stream
          else await new Promise<void>((resolve) => (queue.wake = resolve))
        }
      } finally {
        release()
        link.signal.removeEventListener('abort', aborted)
        queues.delete(channel)
        for (const stream of queue.waiting) stream.destroy()
        if (!link.peer.isClosed) await call(link, 'gang.unlisten', { channel }).catch(() => {})
      }
    },
  }
}

/** The agent's raw socket: a token on a line says which stream this connection is. */
function dial(path: string, token: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.write(`${token}\n`)
      resolve(socket)
    })
  })
}

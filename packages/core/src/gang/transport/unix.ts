import { chmodSync, existsSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { GangflowError } from '../../errors/base.js'
import type { Connection, Listener, Transport } from '../contract.js'

/** Bytes of a unix socket's path, without the closing zero. */
const PATH_LIMIT = 107

/** Members on one host: unix sockets in a directory that only this user can enter. */
export function unixTransport(directory: string): Transport {
  return {
    kind: 'unix',
    listen: (name) => listenUnix(join(directory, `${name}.sock`)),
    connect: connectUnix,
  }
}

/** A listener on a unix socket; connections wait in line until they are taken. */
export async function listenUnix(path: string): Promise<Listener> {
  if (Buffer.byteLength(path) > PATH_LIMIT) {
    throw new GangflowError({
      code: 'E_GANG_DIRECTORY',
      what: `the socket's path ${path} is longer than the ${PATH_LIMIT} bytes that the system allows`,
      fix: 'set XDG_RUNTIME_DIR to a shorter path',
    })
  }
  let waiting: Socket[] = []
  let wake: (() => void) | undefined
  let closed = false
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    waiting.push(socket)
    wake?.()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path, backlog: 1024 }, resolve)
  })
  chmodSync(path, 0o600)
  return {
    address: path,
    async close() {
      closed = true
      wake?.()
      for (const socket of waiting) socket.destroy()
      waiting = []
      // Connections that were taken are their holders' business: nobody waits for them here.
      server.close()
      if (existsSync(path)) rmSync(path, { force: true })
    },
    async *[Symbol.asyncIterator]() {
      while (!closed) {
        const socket = waiting.shift()
        if (socket) yield connectionOf(socket)
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

/** Dials a unix socket. `E_GANG_REFUSED` when nobody listens there (any more). */
export function connectUnix(address: string, options: { signal: AbortSignal }): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect(address)
    const aborted = () => {
      socket.destroy()
      reject(options.signal.reason)
    }
    if (options.signal.aborted) return aborted()
    options.signal.addEventListener('abort', aborted, { once: true })
    socket.once('connect', () => {
      options.signal.removeEventListener('abort', aborted)
      socket.on('error', () => socket.destroy())
      resolve(connectionOf(socket))
    })
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      options.signal.removeEventListener('abort', aborted)
      reject(
        new GangflowError(
          {
            code: cause.code === 'ECONNREFUSED' || cause.code === 'ENOENT' ? 'E_GANG_REFUSED' : 'E_GANG_UNREACHABLE',
            what: `nobody answers at ${address} (${cause.code})`,
            fix: 'the process there has ended; its own account says why',
          },
          { cause },
        ),
      )
    })
  })
}

const connectionOf = (socket: Socket): Connection => ({
  peer: 'unix',
  stream: socket,
  close: () => socket.destroy(),
})

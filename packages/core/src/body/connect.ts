import { createConnection, type Socket } from 'node:net'
import { GangflowError } from '../errors/base.js'

/** A connection to a unix socket; rejects with `E_PEER_CLOSED` when nobody listens there within `timeoutMs`. */
export function connect(path: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    const fail = (cause: unknown) => {
      socket.destroy()
      clearTimeout(timer)
      reject(
        new GangflowError(
          { code: 'E_PEER_CLOSED', what: `nobody answers at ${path}`, fix: 'the process that served it has ended' },
          { cause },
        ),
      )
    }
    const timer = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    socket.once('error', fail)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', fail)
      resolve(socket)
    })
  })
}

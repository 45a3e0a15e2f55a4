import { GangflowError } from '../../errors/base.js'
import { formatAddress, parseAddress } from '../../ssh/address.js'
import type { Candidate, ListenPlace, Mesh } from '../../ssh/contract.js'
import type { Connection, Listener, Transport } from '../contract.js'

/**
 * Members on several hosts: channels of the mesh's control subsystem. What wants to be alone (`own`) has an SSH connection
 * of its own, all else shares one with each member.
 */
export function sshTransport(mesh: Mesh, place: ListenPlace = {}): Transport {
  return {
    kind: 'ssh',
    listen: () => listenOn(mesh, place),
    async connect(address, { signal, own }) {
      const target = parseAddress(address)
      if (!target) {
        throw new GangflowError({
          code: 'E_GANG_UNREACHABLE',
          what: `'${address}' is no address of the form ssh://ID@HOST:PORT`,
          fix: 'use the same version of @gangflow/core everywhere',
        })
      }
      try {
        let forwarded = false
        const reached = (place: Candidate) => {
          forwarded = 'path' in place
        }
        const stream = await mesh.open(target, { signal, reached, ...(own && { own }) })
        return { ...connectionOf(target.memberId, stream), forwarded }
      } catch (cause) {
        throw GangflowError.is(cause) ? gangError(cause) : cause
      }
    },
    bare: {
      openDoor: (signal) => mesh.openDoor(signal),
      async enterDoor(address, token, signal) {
        const target = parseAddress(address)
        if (!target) throw new Error(`'${address}' is no address`)
        return mesh.enterDoor(target, token, { signal })
      },
    },
  }
}

/** The same member's address with its hosts in this order; any other address as it is. */
export function withAddresses(address: string, order: readonly string[]): string {
  const target = parseAddress(address)
  if (!target) return address
  const place = (one: Candidate) => {
    const at = 'host' in one ? order.indexOf(one.host) : -1
    return at < 0 ? order.length : at
  }
  return formatAddress({ ...target, candidates: [...target.candidates].sort((a, b) => place(a) - place(b)) })
}

async function listenOn(mesh: Mesh, place: ListenPlace): Promise<Listener> {
  const address = await mesh.listen(place)
  const waiting: Connection[] = []
  let wake: (() => void) | undefined
  let closed = false
  mesh.onControl((stream, from) => {
    if (closed) return void stream.destroy()
    waiting.push(connectionOf(from, stream))
    wake?.()
  })
  return {
    address,
    async close() {
      closed = true
      wake?.()
      for (const { close } of waiting.splice(0)) close()
      await mesh.stopListening()
    },
    async *[Symbol.asyncIterator]() {
      while (!closed) {
        const connection = waiting.shift()
        if (connection) yield connection
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

/** What the mesh says, as a gang's member understands it: refused is dead. */
function gangError(cause: GangflowError): GangflowError {
  const code = cause.code === 'E_MESH_REFUSED' ? 'E_GANG_REFUSED' : 'E_GANG_UNREACHABLE'
  return new GangflowError({ code, what: cause.what, ...(cause.fix ? { fix: cause.fix } : {}) }, { cause })
}

const connectionOf = (peer: string, stream: Connection['stream']): Connection => ({
  peer,
  stream,
  close: () => stream.destroy(),
})

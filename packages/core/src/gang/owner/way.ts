import { join } from 'node:path'
import type { Listener, TransportKind } from '../contract.js'
import { sshTransport } from '../transport/ssh.js'
import { unixTransport } from '../transport/unix.js'

/** Where the members of a gang reach its owner. */
export interface OwnerWay {
  readonly listener: Listener
  /** Ends the connections too. */
  close(): Promise<void>
}

/** The member id of the owner in the mesh. */
export const OWNER = 'launcher'

/**
 * Listens for the members of one attempt: on a unix socket in the directory, and, with the mesh, on a port of every
 * address of this machine besides. `derive` gives the gang's keys.
 */
export async function openWay(
  kind: TransportKind,
  directory: string,
  derive: (label: string) => Uint8Array,
): Promise<OwnerWay> {
  if (kind === 'unix') {
    const listener = await unixTransport(directory).listen('rendezvous')
    return { listener, close: () => listener.close() }
  }
  const { openMesh } = await import('../../ssh/mesh.js')
  const mesh = openMesh({ memberId: OWNER, derive })
  const listener = await sshTransport(mesh, { path: join(directory, 'rendezvous.sock') }).listen('rendezvous')
  return {
    listener,
    async close() {
      await listener.close()
      await mesh.close()
    },
  }
}

import { join } from 'node:path'
import type { Mesh } from '../../ssh/contract.js'
import type { Listener, TransportKind } from '../contract.js'
import { sshTransport } from '../transport/ssh.js'
import { unixTransport } from '../transport/unix.js'

/** Where the members of a gang reach its owner. */
export interface OwnerWay {
  readonly listener: Listener
  /** The owner's part of the mesh; where the gang does without one, it is made at the first call. */
  mesh(): Promise<Mesh>
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
    let made: Promise<Mesh> | undefined
    return {
      listener,
      mesh() {
        made ??= makeMesh(derive)
        return made
      },
      async close() {
        await listener.close()
        await (await made)?.close()
      },
    }
  }
  const mesh = await makeMesh(derive)
  const listener = await sshTransport(mesh, { path: join(directory, 'rendezvous.sock') }).listen('rendezvous')
  return {
    listener,
    mesh: async () => mesh,
    async close() {
      await listener.close()
      await mesh.close()
    },
  }
}

/** SSH is loaded here, and nowhere before. */
async function makeMesh(derive: (label: string) => Uint8Array): Promise<Mesh> {
  const { openMesh } = await import('../../ssh/mesh.js')
  return openMesh({ memberId: OWNER, derive })
}

import { hkdfSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeRunDirectory } from '../../packages/core/src/body/run-directory.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { datastoreRendezvous } from '../../packages/core/src/gang/rendezvous/by-datastore.js'
import { launcherRendezvous } from '../../packages/core/src/gang/rendezvous/by-launcher.js'
import { peerPorts, peerRendezvous } from '../../packages/core/src/gang/rendezvous/by-peer.js'
import { sshTransport } from '../../packages/core/src/gang/transport/ssh.js'
import { unixTransport } from '../../packages/core/src/gang/transport/unix.js'
import type { Mesh } from '../../packages/core/src/ssh/contract.js'
import { openMesh } from '../../packages/core/src/ssh/mesh.js'
import { rendezvousConformance } from './rendezvous.js'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
const address = { flow: 'Gang', run: 'r1', step: 'multi', task: '2', attempt: 0 }
const gangKeys = () => {
  const secret = randomBytes(32)
  return (label: string) => new Uint8Array(hkdfSync('sha256', secret, '', label, 32))
}

rendezvousConformance(
  'launcher',
  async () => {
    const directory = makeRunDirectory()
    folders.push(directory)
    const transport = unixTransport(directory)
    const listening: { close(): Promise<void> }[] = []
    return {
      key: gangKeys()('join'),
      rendezvous: async () => launcherRendezvous(join(directory, 'rendezvous.sock')),
      async listen() {
        const listener = await transport.listen('rendezvous')
        listening.push(listener)
        return listener
      },
      transport: () => transport,
      async close() {
        for (const listener of listening) await listener.close()
      },
    }
  },
  { heir: false },
)

/** Members over SSH, each with its part of the mesh. */
function overSsh(derive: (label: string) => Uint8Array) {
  const meshes: Mesh[] = []
  const mesh = (memberId: string) => {
    const made = openMesh({ memberId, derive })
    meshes.push(made)
    return made
  }
  return {
    transport: (memberId: string) => sshTransport(mesh(memberId)),
    listen: (memberId: string, port?: number) =>
      sshTransport(mesh(memberId), { bind: ['127.0.0.1'], ...(port === undefined ? {} : { port }) }).listen('any'),
    async close() {
      for (const one of meshes) await one.close()
    },
  }
}

rendezvousConformance(
  'peer',
  async () => {
    const derive = gangKeys()
    const net = overSsh(derive)
    return {
      key: derive('join'),
      rendezvous: async () => peerRendezvous({ hosts: ['127.0.0.1'], memberId: 'm1', derive }),
      // The first of its ports is taken, as may be.
      listen: () => net.listen('m1', peerPorts(derive)[1]),
      transport: net.transport,
      close: net.close,
    }
  },
  { heir: false },
)

rendezvousConformance(
  'datastore',
  async () => {
    const derive = gangKeys()
    const net = overSsh(derive)
    const folder = mkdtempSync(join(tmpdir(), 'gangflow-rendezvous-'))
    folders.push(folder)
    return {
      key: derive('join'),
      rendezvous: async () => datastoreRendezvous(await openDatastore(folder), address),
      listen: (n) => net.listen(`m${n + 1}`),
      transport: net.transport,
      close: net.close,
    }
  },
  { heir: true },
)

describe('the ports of a peer', () => {
  it('follow from the secret alone, are several, and outside of those that systems give', () => {
    const derive = gangKeys()
    const ports = peerPorts(derive)
    expect(peerPorts(derive)).toEqual(ports)
    expect(ports.length).toBeGreaterThan(1)
    expect(ports.every((port) => port >= 20_000 && port < 30_000)).toBe(true)
    expect(peerPorts(gangKeys())).not.toEqual(ports)
  })
})

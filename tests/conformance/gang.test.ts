import { hkdfSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll } from 'vitest'
import { localBackend } from '../../packages/core/src/backend/local/backend.js'
import { makeRunDirectory } from '../../packages/core/src/body/run-directory.js'
import { sshTransport } from '../../packages/core/src/gang/transport/ssh.js'
import { unixTransport } from '../../packages/core/src/gang/transport/unix.js'
import { startKeeper } from '../../packages/core/src/process/start.js'
import { openMesh } from '../../packages/core/src/ssh/mesh.js'
import { cleanUp } from '../support/gang.js'
import { backendConformance } from './backend.js'
import { transportConformance } from './transport.js'

afterAll(cleanUp)

transportConformance(
  'unix',
  () => unixTransport(makeRunDirectory()),
  () => `${makeRunDirectory()}/nobody.sock`,
)

const derive = (label: string) => new Uint8Array(hkdfSync('sha256', 'a gang of tests', '', label, 32))
transportConformance(
  'ssh',
  () => sshTransport(openMesh({ memberId: 'one', derive }), { bind: ['127.0.0.1'] }),
  () => 'ssh://one@127.0.0.1:9,[::1]:9',
)

backendConformance('local', async () => {
  const keeper = await startKeeper({ mark: `conformance-${process.pid}`, root: true })
  const agent = new URL('../../packages/core/dist/agent.cjs', import.meta.url).pathname
  return {
    backend: localBackend({ keeper, agent }),
    agents: () =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter((pid) => {
          try {
            const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
            const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
            return parent === keeper.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('agent.cjs')
          } catch {
            return false
          }
        }),
    close: () => keeper.close({ graceMs: 0 }),
  }
})

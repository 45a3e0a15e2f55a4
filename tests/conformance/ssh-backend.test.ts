import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { afterAll, beforeAll } from 'vitest'
import { sshBackend } from '../../packages/core/src/backend/ssh/backend.js'
import { parseHostList } from '../../packages/core/src/backend/ssh/hosts.js'
import { startHosts, type TestHosts } from '../hosts/index.js'
import { backendConformance } from './backend.js'

let hosts: TestHosts
beforeAll(async () => {
  hosts = await startHosts(3)
})
afterAll(() => hosts?.down())

/** The mount namespace of a process: which host it is on. */
const placeOf = (pid: number | string) => {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    return undefined
  }
}

backendConformance('ssh', async () => ({
  backend: sshBackend({
    hosts: parseHostList(hosts.names.join(',')),
    way: { program: 'ssh', config: hosts.config, options: [], connectSeconds: 5 },
    core: new URL('../../packages/core', import.meta.url).pathname,
  }),
  // A host's processes are seen from this machine too, by pids of its own.
  agents: () => {
    const places = new Set(hosts.hosts.map(({ state }) => placeOf(state.init.pid)))
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('agent.cjs') && places.has(placeOf(pid))
        } catch {
          return false
        }
      })
      .map(Number)
  },
  close: async () => {},
}))

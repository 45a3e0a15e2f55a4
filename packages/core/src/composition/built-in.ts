import { dirname } from 'node:path'
import { refuseUnknown } from './backend-options.js'
import type { BuiltIn } from './backends.js'

/** Backends that core brings along. */
export const builtInBackends: BuiltIn = {
  local: async () => {
    const { localBackend } = await import('../backend/local/backend.js')
    return (options, { keeper, agent }) => {
      refuseUnknown('local', options, [])
      return localBackend({ keeper, agent })
    }
  },
  ssh: async () => {
    const [{ sshBackend }, { readSshOptions, sshOptionNames }] = await Promise.all([
      import('../backend/ssh/backend.js'),
      import('../backend/ssh/options.js'),
    ])
    return (options, place) => {
      refuseUnknown('ssh', options, sshOptionNames)
      // The first gang needs it; until then this process mostly waits for others.
      setTimeout(() => import('../ssh/mesh.js').catch(() => {}), 20).unref()
      return sshBackend({ ...readSshOptions(options), core: dirname(dirname(place.agent)) })
    }
  },
}

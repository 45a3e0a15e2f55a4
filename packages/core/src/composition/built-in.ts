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
}

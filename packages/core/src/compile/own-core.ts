import { existsSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { coreFrom, runningCore } from './find-core.js'

/** What a command that runs another core than its flow's should do (DESIGN D14). */
export type OwnCore =
  | { readonly differs: false }
  | {
      readonly differs: true
      /** Version and folder of the flow's core. */
      readonly version: string
      readonly folder: string
      /** Path of that core's `gangflow`, to be run by `process.execPath` with the same arguments. */
      readonly bin: string
    }

/** Set for the process that is handed over to, so that nothing is handed over twice. */
export const handedOver = 'GANGFLOW_HANDED_OVER'

/**
 * Whether the flow resolves another core than the one that this process runs. A file that does not exist or has
 * no core is not for us to report here: it says `differs: false`, and `compileFlow` gives the named error.
 */
export function ownCore(file: string, env: NodeJS.ProcessEnv = process.env): OwnCore {
  if (env[handedOver] !== undefined) {
    // Not for the processes that this one starts: a step may run another flow with another core.
    delete env[handedOver]
    return { differs: false }
  }
  const path = resolve(file)
  const core = coreFrom(existsSync(path) ? realpathSync(path) : path)
  if (core === undefined || core.folder === runningCore().folder) return { differs: false }
  const bin = join(core.folder, 'dist', 'cli.cjs')
  return existsSync(bin) ? { differs: true, version: core.version, folder: core.folder, bin } : { differs: false }
}

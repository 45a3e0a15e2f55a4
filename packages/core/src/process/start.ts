import { GangflowError } from '../errors/base.js'
import type { Keeper } from './contract.js'
import { nativeHelper, startNativeKeeper } from './keeper.js'
import type { KeeperOptions } from './options.js'

/** Starts a keeper for this process: the native helper where there is one. */
export async function startKeeper(options: KeeperOptions): Promise<Keeper> {
  const binary = nativeHelper()
  if (binary !== undefined) return startNativeKeeper(binary, options)
  throw new GangflowError({
    code: 'E_KEEPER_START',
    what: `there is no native helper for ${process.platform}-${process.arch}`,
    fix: 'build it (`npm run build`) or install its package',
  })
}

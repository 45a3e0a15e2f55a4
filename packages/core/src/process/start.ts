import type { Keeper } from './contract.js'
import { GroupsKeeper } from './groups.js'
import { nativeHelper, startNativeKeeper } from './keeper.js'
import type { KeeperOptions } from './options.js'

/**
 * Starts a keeper for this process: the native helper where there is one (`keeper.native` tells), else process
 * groups. A helper that is there but cannot be run is an error, not a reason for less protection.
 */
export async function startKeeper(options: KeeperOptions): Promise<Keeper> {
  const binary = await nativeHelper()
  return binary === undefined ? new GroupsKeeper(options) : startNativeKeeper(binary, options)
}

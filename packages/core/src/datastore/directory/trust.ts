import { statSync } from 'node:fs'
import { GangflowError } from '../../errors/base.js'
import { isAbsent, storeFailure } from '../failures.js'

/** Refuses a directory that other users may write: whoever writes the datastore can run code as you (DESIGN D13). */
export function checkTrust(root: string): void {
  let stat: ReturnType<typeof statSync>
  try {
    stat = statSync(root)
  } catch (error) {
    if (isAbsent(error)) return
    throw storeFailure(error, 'looking at the directory', root)
  }
  if (!stat?.isDirectory()) {
    throw new GangflowError({
      code: 'E_DATASTORE_LOCATION',
      what: `the datastore's path is not a directory: ${root}`,
      fix: 'name a directory, or one that does not exist yet',
    })
  }
  if (process.platform === 'win32') return
  const mine = process.geteuid?.()
  const why =
    stat.uid !== mine && stat.uid !== 0
      ? `belongs to user ${stat.uid}`
      : (stat.mode & 0o002) !== 0
        ? 'may be written by everybody'
        : (stat.mode & 0o020) !== 0
          ? `may be written by group ${stat.gid}`
          : undefined
  if (why === undefined) return
  throw new GangflowError({
    code: 'E_DATASTORE_SHARED',
    what: `the datastore ${root} ${why}: who can write it can run code as you`,
    fix: `chmod go-w ${root}, or, if you trust them, set GANGFLOW_SHARED_DATASTORE=1`,
    details: { path: root, uid: stat.uid, mode: (stat.mode & 0o777).toString(8) },
  })
}

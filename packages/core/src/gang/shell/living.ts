import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ownRunDirectories } from '../../body/run-directory.js'
import type { AttemptAddress } from '../../datastore/records.js'
import { GangflowError } from '../../errors/base.js'

/** In the run directory of a gang's owner: what gang it is, and where a person comes in. */
export const consoleFile = 'gang.json'
export const consoleSocket = 'console.sock'

export interface LivingGang extends AttemptAddress {
  readonly size: number
  /** Of its owner. */
  readonly pid: number
}

/**
 * The socket of the gang that `[FLOW/]RUN[/STEP[/TASK]]` means, among those that this user owns on this machine. Throws
 * `E_GANG_NOT_LIVING` where there is none, or more than one.
 */
export async function findLivingGang(path: string): Promise<{ readonly gang: LivingGang; readonly socket: string }> {
  const all = (await Promise.all((await ownRunDirectories()).map(livingIn))).flat()
  const words = path.split('/').filter((word) => word !== '')
  const meant = all.filter(({ gang }) => {
    const whole = [gang.flow, gang.run, gang.step, gang.task]
    const begins = (from: readonly string[]) => words.length > 0 && words.every((word, index) => from[index] === word)
    return begins(whole) || begins(whole.slice(1))
  })
  if (meant.length === 1) return meant[0]!
  const listed = (meant.length > 0 ? meant : all).map(
    ({ gang }) => `${gang.flow}/${gang.run}/${gang.step}/${gang.task}`,
  )
  throw new GangflowError({
    code: 'E_GANG_NOT_LIVING',
    what: meant.length > 1 ? `'${path}' may mean ${meant.length} gangs` : `no gang of '${path}' runs here now`,
    fix:
      listed.length > 0
        ? `those that run: ${listed.join(', ')}`
        : 'it works while a gang step runs, as the same user and on the same machine as `gangflow run`',
  })
}

async function livingIn(directory: string): Promise<{ gang: LivingGang; socket: string }[]> {
  try {
    const gang = JSON.parse(await readFile(join(directory, consoleFile), 'utf8')) as LivingGang
    process.kill(gang.pid, 0)
    return [{ gang, socket: join(directory, consoleSocket) }]
  } catch {
    return []
  }
}

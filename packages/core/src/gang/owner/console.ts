import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAddress } from '../../ssh/address.js'
import type { Target } from '../../ssh/contract.js'
import { consoleFile, consoleSocket, type LivingGang } from '../shell/living.js'
import { findNamed } from '../shell/names.js'
import { serveShell } from '../shell/serve.js'
import { listenUnix } from '../transport/unix.js'
import type { OwnedGang } from './gang.js'
import type { OwnerWay } from './way.js'

/** Milliseconds that a member has to start its SSH server. */
const SERVER_MS = 20_000

export interface Console {
  close(): Promise<void>
}

/**
 * By which a person looks into the living gang (`gangflow ssh`): a socket in the owner's directory, which only its user
 * can enter. The owner opens the channel; no key leaves it.
 */
export async function openConsole(gang: OwnedGang, directory: string, way: OwnerWay): Promise<Console> {
  const { address, size } = gang.attempt.request
  const listener = await listenUnix(join(directory, consoleSocket))
  const known: LivingGang = { ...address, size, pid: process.pid }
  await writeFile(join(directory, consoleFile), JSON.stringify(known), { mode: 0o600 })
  void (async () => {
    for await (const { stream } of listener)
      void serveShell(stream, { mesh: () => way.mesh(), find: (host) => find(gang, host) })
  })()
  return listener
}

async function find(gang: OwnedGang, host: string): Promise<Target> {
  const members = gang.ordered.map((member) => ({
    node: member.node,
    memberId: member.memberId,
    host: member.host,
    addresses: member.joining?.addresses ?? [],
    member,
  }))
  const { member } = findNamed(members, host)
  const told = await member.call<string>('ssh', null, SERVER_MS)
  return parseAddress(told)!
}

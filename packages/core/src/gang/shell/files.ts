import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { parseAddress } from '../../ssh/address.js'
import type { DeriveKey } from '../../ssh/contract.js'
import { clientKey, hostKey } from '../../ssh/keys.js'
import { type KnownMember, knownHosts, opensshConfig } from '../../ssh/openssh.js'
import { type Named, namesOf } from './names.js'

/** Where a member's remote shell is; all in its own directory, which only its user can enter. */
export interface ShellPlaces {
  /** The program to call as `ssh` is called; its folder, `bin`, holds it as `gangflow-shim` too. */
  readonly shim: string
  readonly bin: string
  readonly socket: string
  /** Socket of an ssh-agent that has the gang's key. */
  readonly agent: string
  /** For `ssh -F`. */
  readonly config: string
  readonly knownHosts: string
  readonly identity: string
}

export const shellPlaces = (directory: string): ShellPlaces => ({
  bin: join(directory, 'bin'),
  shim: join(directory, 'bin', 'shim'),
  socket: join(directory, 'shim.sock'),
  agent: join(directory, 'agent.sock'),
  config: join(directory, 'ssh_config'),
  knownHosts: join(directory, 'known_hosts'),
  identity: join(directory, 'gang.pub'),
})

/** Variables by which programs find it. `path` is the PATH that they have: the shim's folder comes after it. */
export const shellEnvironment = (places: ShellPlaces, path: string | undefined): Readonly<Record<string, string>> => ({
  GANGFLOW_SHIM: places.shim,
  GANGFLOW_SHIM_SOCKET: places.socket,
  GANGFLOW_SSH_CONFIG: places.config,
  PATH: [path || '/usr/local/bin:/usr/bin:/bin', places.bin].join(':'),
})

/** Puts the shim in its place: a name for the native helper, which is there by its own too, for what plugins do with it. */
export function placeShim({ bin }: ShellPlaces, helper: string): void {
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  for (const name of ['shim', 'gangflow-shim', 'gangflow-keeper']) {
    rmSync(join(bin, name), { force: true })
    symlinkSync(helper, join(bin, name))
  }
}

/** Keys that are derived before other work gets its turn: 2,000 at once would block for a second. */
const AT_ONCE = 16

/** OpenSSH's files for these members; `listens` are their addresses in the mesh. No private key is in any of them. */
export async function writeOpenSsh(
  places: ShellPlaces,
  members: readonly { readonly named: Named; readonly listens: string }[],
  derive: DeriveKey,
  user: string,
): Promise<void> {
  const known: KnownMember[] = []
  for (const [index, { named, listens }] of members.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await setImmediate()
    known.push({
      memberId: named.memberId,
      names: namesOf(named),
      candidates: parseAddress(listens)?.candidates ?? [],
      hostLine: hostKey(derive, named.memberId).line,
    })
  }
  await write(places.identity, `${clientKey(derive).line} gang\n`)
  await write(places.knownHosts, knownHosts(known))
  // Last: who sees it sees the others.
  await write(places.config, opensshConfig(known, { ...places, user }))
}

async function write(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

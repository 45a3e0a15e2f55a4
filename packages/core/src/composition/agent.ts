import { openBodyHost } from '../body/host.js'
import { loadCompiled } from '../body/load-shared.js'
import { openDatastore } from '../datastore/open.js'
import { isLoopback, ownAddresses } from '../discovery/own-addresses.js'
import { messageOf } from '../errors/base.js'
import { layBase } from '../gang/agent/base.js'
import { type AgentBootstrap, readBootstrap } from '../gang/agent/bootstrap.js'
import { runMember } from '../gang/agent/member.js'
import { performUndos } from '../gang/agent/undo.js'
import type { Prelude, Transport } from '../gang/contract.js'
import { deriveKey } from '../gang/keys.js'
import { sshTransport } from '../gang/transport/ssh.js'
import { unixTransport } from '../gang/transport/unix.js'
import { takeUpCertificates } from '../process/extra-certificates.js'
import { nativeHelper } from '../process/keeper.js'
import { startKeeper } from '../process/start.js'
import type { Mesh } from '../ssh/contract.js'
import { placeHere } from './agent-place.js'

/** One member of a gang: started by a backend, told everything on its stdin, runs no user code. */
export async function startAgent(): Promise<never> {
  takeUpCertificates()
  try {
    // What a member's death has left, on a host where nobody else could: `agent.cjs FOLDER undo DIRECTORY`.
    if (process.argv[3] === 'undo') await undoAll(process.argv[4] ?? '')
    // `agent.cjs FOLDER allocated [DIRECTORY TEMP]`
    const [, , , allocated, directory, temp] = process.argv
    const place = (prelude: Prelude) => placeHere(prelude, { directory, temp })
    const told = readBootstrap(process.stdin, allocated === 'allocated' ? place : undefined)
    const own = { startKeeper, openDatastore, openHost: openBodyHost }
    const base = layBase(await told.prelude, own)
    // Nobody needed it, or its launcher is dead.
    const whole = await told.whole.catch(async (error: unknown) => {
      await base.end()
      throw error
    })
    const boot = withOwnAddresses(whole)
    const mesh = meshOf(boot)
    const transport = boot.transport === 'ssh' ? meshTransport(boot, mesh()) : unixTransport(boot.member.directory)
    process.exitCode = await runMember(boot, { ...own, transport, mesh, nativeHelper }, base)
  } catch (error) {
    process.stderr.write(`gangflow agent: ${messageOf(error)}\n`)
    process.exitCode = 70
  }
  // Whatever is still open belongs to nobody any more.
  process.exit()
}

/** SSH is loaded at the first need: most gangs of one host have none. */
function meshOf({ member, secret, address }: AgentBootstrap): () => Mesh {
  let mesh: Mesh | undefined
  return () => {
    if (mesh) return mesh
    const { openMesh } = loadCompiled(__dirname, 'mesh', process.argv[2]) as typeof import('./mesh.js')
    mesh = openMesh({ memberId: member.memberId, derive: (label) => deriveKey(secret, address, label) })
    return mesh
  }
}

/** What the backend knows comes first; which of them serve, the members find out among themselves. */
function withOwnAddresses(boot: AgentBootstrap): AgentBootstrap {
  const { addresses } = boot.member
  if (boot.transport !== 'ssh' || (addresses.length > 0 && addresses.every(isLoopback))) return boot
  const own = ownAddresses()
  const outside = own.filter(({ kind }) => kind !== 'loopback')
  const all = [...addresses, ...(outside.length > 0 ? outside : own).map(({ address }) => address)]
  return { ...boot, member: { ...boot.member, addresses: [...new Set(all)] } }
}

function meshTransport({ member }: AgentBootstrap, mesh: Mesh): Transport {
  const { addresses } = member
  // Who is only ever dialled from its own host need not be open to others.
  const local = addresses.every(isLoopback)
  return sshTransport(mesh, { advertise: addresses, ...(local ? { bind: addresses } : {}) })
}

async function undoAll(directory: string): Promise<never> {
  const keeper = await startKeeper({ mark: process.env['GANGFLOW_MARK'] ?? directory })
  const complaints = await performUndos(directory, keeper, { env: process.env as Record<string, string>, cwd: '/' })
  await keeper.close({ graceMs: 0 })
  for (const complaint of complaints) process.stderr.write(`gangflow agent: ${complaint}\n`)
  process.exit(complaints.length === 0 ? 0 : 1)
}

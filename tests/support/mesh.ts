import { hkdfSync } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeRunDirectory } from '../../packages/core/src/body/run-directory.js'
import { keptHost } from '../../packages/core/src/gang/shell/kept-host.js'
import { listenUnix } from '../../packages/core/src/gang/transport/unix.js'
import type { Keeper } from '../../packages/core/src/process/contract.js'
import { nativeHelper } from '../../packages/core/src/process/keeper.js'
import { startKeeper } from '../../packages/core/src/process/start.js'
import { parseAddress } from '../../packages/core/src/ssh/address.js'
import { serveAgent } from '../../packages/core/src/ssh/agent-protocol.js'
import type { DeriveKey, Mesh, Target } from '../../packages/core/src/ssh/contract.js'
import { clientKey, hostKey } from '../../packages/core/src/ssh/keys.js'
import { openMesh } from '../../packages/core/src/ssh/mesh.js'
import { knownHosts, opensshConfig } from '../../packages/core/src/ssh/openssh.js'

export const deriveOf =
  (gang: string): DeriveKey =>
  (label) =>
    new Uint8Array(hkdfSync('sha256', gang, '', label, 32))

export interface TestMember {
  readonly mesh: Mesh
  readonly keeper: Keeper
  readonly target: Target
  /** Where its commands start. */
  readonly home: string
  readonly directory: string
  /** `-F` for OpenSSH's programs. */
  readonly config: string
  close(): Promise<void>
}

/** A member with nothing of a gang: a mesh, a keeper, and OpenSSH's files for reaching it. */
export async function testMember(gang: string, memberId: string): Promise<TestMember> {
  const derive = deriveOf(gang)
  const directory = makeRunDirectory()
  const home = join(directory, 'home')
  mkdirSync(home)
  const keeper = await startKeeper({ mark: `mesh-${process.pid}-${memberId}` })
  const mesh = openMesh({ memberId, derive })
  const host = await keptHost({
    keeper,
    helper: await nativeHelper(),
    socket: join(directory, 'attach.sock'),
    env: () => ({ PATH: process.env['PATH']!, HOME: home, MEMBER: memberId }),
    cwd: () => home,
    graceMs: 300,
  })
  mesh.serve(host)
  const target = parseAddress(await mesh.listen({ bind: ['127.0.0.1'] }))!
  const agent = await listenUnix(join(directory, 'agent.sock'))
  void (async () => {
    for await (const { stream } of agent) serveAgent(stream, clientKey(derive))
  })()
  const places = {
    knownHosts: join(directory, 'known_hosts'),
    agent: join(directory, 'agent.sock'),
    identity: join(directory, 'id.pub'),
    user: 'tester',
  }
  const known = [
    { memberId, names: [memberId, 'node-0'], candidates: target.candidates, hostLine: hostKey(derive, memberId).line },
  ]
  const config = join(directory, 'ssh_config')
  writeFileSync(config, opensshConfig(known, places))
  writeFileSync(places.knownHosts, knownHosts(known))
  writeFileSync(places.identity, `${clientKey(derive).line}\n`)
  return {
    mesh,
    keeper,
    target,
    home,
    directory,
    config,
    async close() {
      await mesh.close()
      await host.close()
      await agent.close()
      await keeper.close({ graceMs: 0 })
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

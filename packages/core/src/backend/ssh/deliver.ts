import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { archiveOf } from '../../compile/host-runtime/archive.js'
import type { RuntimeLayer } from '../../compile/host-runtime/contract.js'
import { presentCommand } from '../../compile/host-runtime/present.js'
import { GangflowError } from '../../errors/base.js'
import type { HostFacts } from './facts.js'
import { sshFailure } from './failures.js'
import type { HostSpec } from './hosts.js'
import { ConnectionFailed, type HostSession } from './session.js'
import { type SshWay, sshArgv } from './ssh-argv.js'

/** Makes sure that a layer of the runtime is on the host. */
export async function deliver(
  way: { readonly plan: HostSpec; readonly way: SshWay; readonly note?: (text: string) => void },
  session: HostSession,
  facts: HostFacts,
  layer: RuntimeLayer,
  signal: AbortSignal,
): Promise<void> {
  const present = presentCommand(facts.runtime, layer)
  if (await session.check(present, signal)) return
  way.note?.(`is sent ${layer.name.replace(/-.*/, '')} (${Math.ceil(layer.bytes / 1e6)} MB), once`)
  const folder = await session.receive(signal)
  await fill(way, folder, layer, signal)
  await session.keep(layer.name, present, signal)
  if (!(await session.check(present, signal)))
    throw undelivered(way.plan.host, facts.runtime, `${layer.name} is not whole after it was sent`)
}

/** Fills a folder on the host with a layer, by a connection of its own: the other one carries the talk. */
async function fill(
  { plan, way }: { readonly plan: HostSpec; readonly way: SshWay },
  folder: string,
  layer: RuntimeLayer,
  signal: AbortSignal,
): Promise<void> {
  const argv = sshArgv(plan, way, { command: ['tar', '-x', '-z', '-f', '-', '-C', folder] })
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'ignore', 'pipe'], detached: true, signal })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-4096)
  })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  ended.catch(() => {})
  let own: unknown
  // A host that takes no more says why by its exit code.
  await pipeline(await archiveOf(layer), child.stdin).catch((error: unknown) => {
    own = error
  })
  signal.throwIfAborted()
  if (GangflowError.is(own)) {
    child.kill()
    throw own
  }
  const [code, killed] = await ended
  if (code === 0) return
  if (code === 255) throw new ConnectionFailed(sshFailure(plan.host, said, 'exit code 255'))
  throw undelivered(plan.host, folder, `${said.trim().split('\n').at(-1) ?? ''} (${killed ?? `exit code ${code}`})`)
}

/** What the person is told when a host cannot take what it needs. */
const undelivered = (host: string, folder: string, why: string): GangflowError =>
  new GangflowError({
    code: 'E_SSH_DELIVERY',
    what: `host ${host}: what gangflow needs there could not be put into ${folder}: ${why}`,
    fix: 'make room there, see that tar is installed, or name another folder by workdir= in the hosts file',
    host,
  })

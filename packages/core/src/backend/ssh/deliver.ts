import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { GangflowError } from '../../errors/base.js'
import { sshFailure } from './failures.js'
import type { HostSpec } from './hosts.js'
import type { HostRuntime } from './runtime.js'
import { ConnectionFailed } from './session.js'
import { type SshWay, sshArgv } from './ssh-argv.js'

/** Characters that no login shell reads as anything but themselves. */
const PLAIN = /^[A-Za-z0-9_/.,:@%+-]+$/

/** Fills a folder on the host with a runtime, by a connection of its own: the other one carries the talk. */
export async function sendRuntime(
  { plan, way }: { readonly plan: HostSpec; readonly way: SshWay },
  folder: string,
  runtime: HostRuntime,
  signal: AbortSignal,
): Promise<void> {
  if (!PLAIN.test(folder)) throw undelivered(plan.host, folder, 'its path has characters that a shell reads')
  const argv = sshArgv(plan, way, { command: ['tar', '-x', '-f', '-', '-C', folder] })
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'ignore', 'pipe'], detached: true, signal })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-4096)
  })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  ended.catch(() => {})
  // A host that takes no more says why by its exit code.
  await pipeline(runtime.tar(), child.stdin).catch(() => {})
  signal.throwIfAborted()
  const [code, killed] = await ended
  if (code === 0) return
  if (code === 255) throw new ConnectionFailed(sshFailure(plan.host, said, 'exit code 255'))
  throw undelivered(plan.host, folder, `${said.trim().split('\n').at(-1) ?? ''} (${killed ?? `exit code ${code}`})`)
}

/** What the person is told when a host cannot take what it needs. */
export const undelivered = (host: string, folder: string, why: string): GangflowError =>
  new GangflowError({
    code: 'E_SSH_DELIVERY',
    what: `host ${host}: what gangflow needs there could not be put into ${folder}: ${why}`,
    fix: 'make room there, see that tar is installed, or name another folder by workdir= in the hosts file',
    host,
  })

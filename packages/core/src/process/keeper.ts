import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { GangflowError, messageOf } from '../errors/base.js'
import { NativeKeeper } from './native.js'
import type { KeeperOptions } from './options.js'
import { KEEPER_PROTOCOL } from './wire.js'

const START_PATIENCE = 20_000

/** Starts the native helper. Rejects with E_KEEPER_START when it cannot be run. */
export function startNativeKeeper(binary: string, options: KeeperOptions): Promise<NativeKeeper> {
  return keeperOver(launch(binary, options), binary, options)
}

/**
 * The owner's side of a helper that speaks on the pipes of `child`: the helper itself, or what reaches it on another
 * machine (`elsewhere`). Rejects with E_KEEPER_START, and ends the child, when it does not.
 */
export async function keeperOver(child: ChildProcess, binary: string, options: KeeperOptions): Promise<NativeKeeper> {
  const keeper = new NativeKeeper(child, options)
  const failed = new Promise<never>((_resolve, reject) => {
    const refuse = (why: string, cause?: unknown) => reject(startFailure(binary, why, cause))
    child.once('error', (error) => refuse(messageOf(error), error))
    child.once('exit', (code, signal) => refuse(`it ended with ${signal ?? `exit code ${code}`}`))
    setTimeout(refuse, START_PATIENCE, `it said nothing for ${START_PATIENCE / 1000} s`).unref()
  })
  failed.catch(() => {})
  try {
    await Promise.race([keeper.ready, failed])
    const { protocol } = keeper
    if (protocol !== KEEPER_PROTOCOL)
      throw startFailure(binary, `it speaks version ${protocol} of the protocol, and ${KEEPER_PROTOCOL} is needed`)
  } catch (error) {
    child.kill('SIGKILL')
    // What it may have started must not keep this process waiting.
    child.stdin?.destroy()
    child.stdout?.destroy()
    throw error
  }
  if (options.leaseMs !== undefined) {
    const beat = setInterval(() => keeper.ping(), options.leaseMs / 5)
    beat.unref()
    void keeper.closed.then(() => clearInterval(beat))
  }
  return keeper
}

function launch(binary: string, options: KeeperOptions): ChildProcess {
  const args = ['serve', `--mark=${options.mark}`]
  if (options.root) args.push('--adopt=kill')
  if (options.leaseMs !== undefined) args.push(`--lease-ms=${Math.ceil(options.leaseMs)}`)
  if (options.graceMs !== undefined) args.push(`--grace-ms=${Math.ceil(options.graceMs)}`)
  if (options.liveBytesPerSecond !== undefined) args.push(`--live-rate=${Math.ceil(options.liveBytesPerSecond)}`)
  // A session of its own: the terminal's Ctrl-C is not for it. The chain of keepers above is passed on.
  const env: Record<string, string> = { GANGFLOW_MARK: options.mark }
  if (process.env['GANGFLOW_KEPT']) env['GANGFLOW_KEPT'] = process.env['GANGFLOW_KEPT']
  return spawn(binary, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true, cwd: '/', env })
}

function startFailure(binary: string, why: string, cause?: unknown): GangflowError {
  return new GangflowError(
    {
      code: 'E_KEEPER_START',
      what: `the native helper ${binary} could not be started: ${why}`,
      fix: 'install @gangflow/keeper anew for this platform; GANGFLOW_KEEPER=none does without it',
      details: { binary },
    },
    { cause },
  )
}

/** The helper's path on this machine, or undefined. The package is asked only where the environment does not say. */
export async function nativeHelper(): Promise<string | undefined> {
  const told = process.env['GANGFLOW_KEEPER']
  if (told === 'none') return undefined
  if (told) return told
  // An import would bring in Node's whole loader of modules, which nothing else here needs.
  const keeper = createRequire(import.meta.url)('@gangflow/keeper') as typeof import('@gangflow/keeper')
  return keeper.keeperBinary()
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { GangflowError } from '../../errors/base.js'
import type { OpenHost } from './host.js'
import type { HostSpec } from './hosts.js'
import { type SshWay, sshArgv } from './ssh-argv.js'

/** Milliseconds for one question to the host, and for bringing what is there. */
const ASK_MS = 5_000
const FETCH_MS = 60_000

/**
 * Brings what a member's processes had said and its agent could not store, by a connection of its own. Undefined when
 * there is nothing; throws `E_SSH_SPOOLS` when it could not be brought: it stays on the host.
 */
export async function fetchSpools(
  { keeper, facts }: OpenHost,
  plan: HostSpec,
  way: SshWay,
  spool: string,
): Promise<string | undefined> {
  const script = `cd "$1" 2>/dev/null || exit 3; for file in *.spool; do case $file in agent-*|undo-*) ;; *) [ -s "$file" ] && exit 0;; esac; done; exit 3`
  const asked = keeper
    .spawn({ name: 'look', argv: ['sh', '-c', script, 'sh', spool], env: facts.env, cwd: '/' })
    .then((child) => child.exited)
    // Its keeper has gone with the first connection; what it kept may still be there.
    .catch(() => undefined)
  const exit = await Promise.race([asked, late(ASK_MS)])
  if (exit?.code === 3) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'gangflow-spools-'))
  const pack = 'cd "$0" 2>/dev/null || exit 3; exec tar -c -z -f - --exclude="agent-*" --exclude="undo-*" .'
  const command = ['sh', '-c', pack, spool]
  const argv = sshArgv(plan, way, { command })
  const signal = AbortSignal.timeout(FETCH_MS)
  try {
    const from = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'ignore'], detached: true, signal })
    const into = spawn('tar', ['-x', '-z', '-f', '-', '-C', folder], { stdio: ['pipe', 'ignore', 'ignore'], signal })
    const ends = Promise.all([once(from, 'close'), once(into, 'close')])
    await pipeline(from.stdout, into.stdin)
    const [[there], [here]] = await ends
    if (there === 3) {
      await rm(folder, { recursive: true, force: true })
      return undefined
    }
    if (there !== 0 || here !== 0) throw new Error(`tar ended with ${there} there and ${here} here`)
    await forget(plan, way, facts.work, spool)
    return folder
  } catch (cause) {
    await rm(folder, { recursive: true, force: true })
    throw new GangflowError(
      {
        code: 'E_SSH_SPOOLS',
        what: `the last lines of its processes could not be brought from ${plan.host}`,
        fix: `they are on the host, in ${spool}`,
        host: plan.host,
      },
      { cause },
    )
  }
}

/** What has been brought need not stay there; where the host does not hear it, it goes with what is old. */
async function forget(plan: HostSpec, way: SshWay, work: string, spool: string): Promise<void> {
  const root = `${work}/spool`
  const own = spool.slice(root.length + 1)
  const script = 'cd "$0" && rm -rf "$1" && rmdir -p "$2" 2>/dev/null'
  const argv = sshArgv(plan, way, { command: ['sh', '-c', script, root, own, dirname(own)] })
  const signal = AbortSignal.timeout(ASK_MS)
  await once(spawn(argv[0]!, argv.slice(1), { stdio: 'ignore', detached: true, signal }), 'close').catch(() => {})
}

const late = (ms: number): Promise<undefined> => new Promise((resolve) => setTimeout(resolve, ms, undefined).unref())

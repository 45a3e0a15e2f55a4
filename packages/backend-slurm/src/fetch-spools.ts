import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { GangflowError } from '@gangflow/core'
import { slurmEnv } from './command.js'
import type { RelayedJob } from './relayed-job.js'

/** Milliseconds for bringing them. */
const FETCH_MS = 30_000
/** Packs what is not empty; ends with 3 where there is nothing. */
const pack =
  'cd "$0" 2>/dev/null && [ -n "$(find . -type f -size +0)" ] || exit 3; exec tar -c -z -f - --exclude="agent-*" --exclude="undo-*" .'

/**
 * Brings what a killed agent's processes had said and it could not store, by another step in its job. Undefined when there
 * is nothing; throws `E_SLURM_SPOOLS` where the job or the node has gone.
 */
export async function fetchSpools(job: RelayedJob, task: number): Promise<string | undefined> {
  const host = job.hosts[task]!
  const path = job.spools[task]!
  if (job.left[task]) return undefined
  if (job.over || job.id === undefined) throw gone(host)
  // It has been asked for: nothing is brought twice.
  job.left[task] = true
  const folder = await mkdtemp(join(tmpdir(), 'gangflow-spools-'))
  const place = [`--jobid=${job.id}`, '--overlap', '--nodes=1', '--ntasks=1', `--nodelist=${host}`]
  const argv = ['srun', ...place, '--mpi=none', '--quiet', '--chdir=/', 'sh', '-c', pack, path]
  const signal = AbortSignal.timeout(FETCH_MS)
  try {
    const from = spawn(argv[0]!, argv.slice(1), {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: slurmEnv(),
      detached: true,
      signal,
    })
    const into = spawn('tar', ['-x', '-z', '-f', '-', '-C', folder], { stdio: ['pipe', 'ignore', 'ignore'], signal })
    const ends = Promise.all([once(from, 'close'), once(into, 'close')])
    ends.catch(() => {})
    await pipeline(from.stdout, into.stdin)
    const [[there], [here]] = await ends
    if (there === 0 && here === 0) return folder
    await rm(folder, { recursive: true, force: true })
    if (there === 3) return undefined
    throw new Error(`it ended with ${there} there and ${here} here`)
  } catch (cause) {
    await rm(folder, { recursive: true, force: true })
    throw gone(host, cause)
  }
}

const gone = (host: string, cause?: unknown): GangflowError =>
  new GangflowError(
    {
      code: 'E_SLURM_SPOOLS',
      what: `${host} has ended its job, or does not answer`,
      host,
    },
    { cause },
  )

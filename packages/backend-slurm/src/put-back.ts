import { slurmCommand } from './command.js'
import { parseDetails } from './parse.js'

/**
 * Puts this process's job back into the queue, under its id, where another job has preempted it: Slurm does that by itself only
 * with what still runs at the end of the grace. A job that was cancelled, or whose time is over, stays ended.
 */
export async function putBack(): Promise<boolean> {
  const id = process.env['SLURM_JOB_ID'] ?? ''
  const shown = await slurmCommand(['scontrol', 'show', 'job', '--oneliner', id])
  const details = shown.code === 0 ? parseDetails(shown.stdout) : undefined
  if (details?.state !== 'RUNNING' || !details.preempted) return false
  return (await slurmCommand(['scontrol', 'requeue', id])).code === 0
}

import { GangflowError } from '../errors/base.js'
import type { GangBackend } from '../gang/contract.js'

/** Why runs of a backend end with their launcher, a clause for people; undefined where they can be left to their jobs. The one place that decides it. */
export function whyTied({ jobs, tasks }: GangBackend): string | undefined {
  if (jobs) return undefined
  if (tasks === 'member')
    return 'its nodes do not see the datastore, so that its tasks are relayed through the launcher'
  return 'its tasks are processes below the launcher'
}

/** Refuses to begin a run that is to be left to its jobs, where it has none that would go on. */
export function refuseDetached(backend: GangBackend): void {
  const why = whyTied(backend)
  if (why === undefined) return
  throw new GangflowError({
    code: 'E_DETACH',
    what: `a run with backend '${backend.name}' cannot be detached: ${why}`,
    fix: 'run it on an engine whose jobs outlive the launcher, such as --backend slurm with a datastore that the nodes see, or below tmux or nohup',
  })
}

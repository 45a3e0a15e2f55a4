import { existsSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import {
  type Allocation,
  agentCommand,
  type BackendPlace,
  type Bootstrap,
  discover,
  encodeForAll,
  type GangRequest,
  makeRunDirectory,
  memberIdOf,
} from '@gangflow/core/backend'
import { tooFew } from './relayed-plan.js'
import { SrunStep } from './srun-step.js'

/** Members as the tasks of one step of srun, on the nodes of the job in which this process is. */
export interface SrunPlan {
  readonly backend: 'slurm'
  readonly argv: readonly string[]
  readonly members: readonly { readonly memberId: string; readonly host: string }[]
}

/** The step as it is started and as `--dry-run` prints it, without the agent's own command. Pure. */
export function planSrun({ size, step, resources }: GangRequest, hosts: readonly string[]): SrunPlan {
  if (hosts.length < size) throw tooFew(step.name, size, hosts.length)
  return {
    backend: 'slurm',
    argv: [
      'srun',
      `--nodes=${size}`,
      `--ntasks=${size}`,
      '--ntasks-per-node=1',
      ...(resources.cpu === undefined ? [] : [`--cpus-per-task=${Math.ceil(resources.cpu)}`]),
      // Who ends whom, and when, is the gang's to say.
      '--kill-on-bad-exit=0',
      '--wait=0',
      '--no-kill',
      '--overlap',
      '--cpu-bind=none',
      '--mpi=none',
      '--unbuffered',
      '--export=ALL',
      '--chdir=/',
    ],
    members: hosts.slice(0, size).map((host, index) => ({ memberId: memberIdOf(index, size), host })),
  }
}

/** The nodes of the job that this process is in. */
export const hostsHere = (env: NodeJS.ProcessEnv = process.env): string[] =>
  (discover({ env, readFile: () => '', hostname: hostname() }).hosts ?? []).map(({ host }) => host)

/** Starts the step; its tasks are told all on srun's stdin, which goes to each of them. */
export async function startSrun(
  plan: SrunPlan,
  bootstrap: Bootstrap,
  { keeper, agent }: BackendPlace,
  signal: AbortSignal,
): Promise<Allocation> {
  signal.throwIfAborted()
  // What it and the agents say is read from there; after a kill of this process the next run sweeps it away.
  const spool = makeRunDirectory()
  const child = await keeper.spawn({
    name: 'srun',
    spool,
    argv: [...plan.argv, ...agentCommand(agent, bootstrap)],
    env: withoutStep(process.env),
    cwd: '/',
    stdin: encodeForAll(bootstrap),
    // Through it the agents are told of this process's end before it is over.
    onOwnerGone: { lingerMs: bootstrap.timeouts.linger },
  })
  const step = new SrunStep(child, plan.members.length)
  return {
    members: plan.members.map(({ memberId, host }, index) => ({
      memberId,
      host,
      elsewhere: true,
      agentExited: step.exits[index]!,
      lastLines: () => step.lines,
      spools: async () => spoolHere(bootstrap, memberId),
      reap: () => step.reap(index),
    })),
    release: () => step.end().finally(() => rmSync(spool, { recursive: true, force: true })),
  }
}

/** The directory of its spools where this machine sees it: not where each node has its own. */
function spoolHere({ address, datastore }: Bootstrap, memberId: string): string | undefined {
  const root = datastore.replace(/^dir:/, '').replace(/\?.*$/, '')
  const { flow, run, step, task, attempt } = address
  const path = [root, 'scratch', 'spool', flow, run, step, task, attempt, memberId].join('/')
  return existsSync(path) ? path : undefined
}

/**
 * A step asks for what its command line says, not for what the job's own environment says of the job; and its tasks' streams
 * are this process's, as they are, whatever a person has srun do with those of a step of theirs.
 */
export const withoutStep = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined &&
        !/^(SLURM_(NTASKS|NPROCS|NTASKS_PER_NODE|EXPORT_ENV|CPU_BIND.*|DISTRIBUTION|LABELIO|STD(IN|OUT|ERR)MODE)|PMI.*)$/.test(
          entry[0],
        ),
    ),
  )

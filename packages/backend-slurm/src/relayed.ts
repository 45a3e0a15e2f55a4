import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { machine, type } from 'node:os'
import {
  type Allocation,
  type BackendNotes,
  type BackendPlace,
  type Bootstrap,
  encodeForAll,
  makeRunDirectory,
  memberIdOf,
  type NodeRuntime,
  nodeRuntime,
} from '@gangflow/core/backend'
import { slurmCommand, slurmEnv, unanswered } from './command.js'
import { fetchSpools } from './fetch-spools.js'
import { withoutStep } from './gang.js'
import { RelayedJob } from './relayed-job.js'
import type { RelayedPlan } from './relayed-plan.js'
import type { Watch } from './watch.js'

/** Starts the step: its tasks are sent what an agent needs, and told all, on srun's stdin, which goes to each of them. */
export async function startRelayed(
  plan: RelayedPlan,
  bootstrap: Bootstrap,
  { place: { keeper, agent }, watch }: { readonly place: BackendPlace; readonly watch: Watch },
  signal: AbortSignal,
  note: BackendNotes,
): Promise<Allocation> {
  signal.throwIfAborted()
  const runtime = await nodeRuntime(agent)
  const nonce = randomBytes(12).toString('hex')
  const spool = makeRunDirectory()
  const child = await keeper.spawn({
    name: 'srun',
    spool,
    argv: plan.argv,
    env: withoutStep(slurmEnv()),
    cwd: '/',
    stdin: Buffer.concat([
      Buffer.from(plan.script),
      toldFirst(nonce, plan.ownJob, runtime),
      runtime.archive,
      encodeForAll(bootstrap),
    ]),
    // Through it the agents are told of this process's end before it is over.
    onOwnerGone: { lingerMs: bootstrap.timeouts.linger },
  })
  const { size } = plan
  const job = new RelayedJob({ child, size, nonce, watch, note })
  const { step } = job
  // One that was killed has told nobody that its job is over.
  const over = child.exited.then(async ({ code, signal: killed, solicited }) => {
    if (code !== null || !plan.ownJob || job.id === undefined) return
    // All is to be killed at once: the nodes, which do not hang below this machine's keeper, are told by Slurm.
    const atOnce = killed === 'SIGKILL' && solicited
    if (atOnce && !(await told(['scancel', '--signal=KILL', job.id]))) return note(unheard(job.id))
    if (!(await told(['scancel', job.id]))) note(unheard(job.id))
  })
  const release = async () => {
    if (job.id !== undefined) watch.forget(job.id)
    await step.end().finally(() => rmSync(spool, { recursive: true, force: true }))
    await over
  }
  try {
    await job.ready(bootstrap.timeouts.provision, signal)
  } catch (error) {
    await release()
    throw error
  }
  return {
    members: Array.from({ length: size }, (_, index) => ({
      memberId: memberIdOf(index, size),
      host: job.hosts[index]!,
      elsewhere: true,
      agentExited: step.exits[index]!,
      lastLines: () => step.lines,
      spools: () => fetchSpools(job, index),
      reap: () => step.reap(index),
    })),
    why: () => job.why(),
    release,
  }
}

/** Whether the controller has heard it. */
const told = (argv: readonly string[]): Promise<boolean> =>
  slurmCommand(argv).then(
    (answer) => !unanswered(answer),
    () => false,
  )

const unheard = (id: string): string =>
  `Slurm does not answer, and so has not heard that job ${id} is over: its first node tells it later; should \`squeue --jobs=${id}\` show it even then, \`scancel ${id}\` ends it`

/** The lines that the tasks read before anything else; nothing of them is secret. */
function toldFirst(
  nonce: string,
  ownJob: boolean,
  { archive, layer, agent, keeper, present }: NodeRuntime,
): Uint8Array {
  const facts = [nonce, ownJob ? 'yes' : 'no', archive.byteLength, layer, agent, keeper ?? '-', type(), machine()].join(
    ' ',
  )
  return Buffer.from(`${facts}\n${process.execPath}\n${present}\n`)
}

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
import { slurmCommand, slurmEnv } from './command.js'
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
  // All is to be killed at once: the nodes, which do not hang below this machine's keeper, are told by Slurm.
  void child.exited.then(async ({ signal: killed, solicited }) => {
    if (killed !== 'SIGKILL' || !solicited || !plan.ownJob || job.id === undefined) return
    await slurmCommand(['scancel', '--signal=KILL', job.id]).catch(() => {})
    await slurmCommand(['scancel', job.id]).catch(() => {})
  })
  const release = async () => {
    await step.end().finally(() => rmSync(spool, { recursive: true, force: true }))
    const { code } = await child.exited
    if (job.id !== undefined) watch.forget(job.id)
    // One that was killed has told nobody that its job is over.
    if (code === null && plan.ownJob && job.id !== undefined) await slurmCommand(['scancel', job.id]).catch(() => {})
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

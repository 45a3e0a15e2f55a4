import type { Datastore } from '../datastore/contract.js'
import { recoverSpools } from '../datastore/logs/recover.js'
import { ownerState } from '../datastore/owner.js'
import {
  type DoneRecord,
  keys,
  type OwnerRecord,
  type RunEndRecord,
  type RunRecord,
  type TaskRecord,
} from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { FlowDescription } from '../flow/description.js'
import { unknownStep } from './check.js'
import { type OriginTask, planResume, type ResumePlan, type ReusedTask } from './reuse.js'
import { json } from './run-record.js'

/** A run that is resumed, and what of it can be taken over. */
export interface Origin {
  readonly record: RunRecord
  readonly from?: string
  readonly plan: ResumePlan
}

/** Records read or written at once. */
const AT_ONCE = 32

/** Finds the run to resume and plans the new one; named errors list what there is. */
export async function findOrigin(
  datastore: Datastore,
  description: FlowDescription,
  { origin: named, from }: { readonly origin?: string; readonly from?: string },
): Promise<Origin> {
  const flow = description.name
  if (from !== undefined && !description.steps.some(({ name }) => name === from)) throw unknownStep(description, from)
  const record = await readOrigin(datastore, flow, named)
  const { run } = record
  const end = (await datastore.readRecord(keys.end(flow, run))) as unknown as RunEndRecord | undefined
  if (!end) {
    await refuseWhenAlive(datastore, record)
    // What a killed launcher left of its logs; where that cannot be stored now, it is read in place and tried again.
    await recoverSpools(datastore, { run: { flow, run } }).catch(() => [])
  }
  const tasks = await readTasks(datastore, flow, run)
  const plan = planResume(description, { description: record.description, tasks }, from)
  // One whose launcher was killed after its last task is resumed too: the new run is then done at once.
  if (plan.ready.length === 0 && end?.status === 'done') {
    throw new GangflowError({
      code: 'E_RESUME_DONE',
      what: `run ${flow}/${run} is done, and nothing of it has changed`,
      fix: 'name the step to begin again from, or start a new run',
    })
  }
  return { record, plan, ...(from === undefined ? {} : { from }) }
}

async function readOrigin(datastore: Datastore, flow: string, named: string | undefined): Promise<RunRecord> {
  const read = async (run: string) =>
    (await datastore.readRecord(keys.run(flow, run))) as unknown as RunRecord | undefined
  const runs = (await datastore.listChildren(keys.flow(flow))).toReversed()
  if (named !== undefined) {
    const record = runs.includes(named) ? await read(named) : undefined
    if (record) return record
  } else {
    // What was claimed and never begun has no record.
    for (const run of runs) {
      const record = await read(run)
      if (record) return record
    }
  }
  const begun = await inBatches(runs.slice(0, 20), async (run) => ((await read(run)) ? run : undefined))
  const newest = begun.filter(Boolean).slice(0, 10).join(', ')
  throw new GangflowError({
    code: 'E_RESUME_RUN',
    what: named === undefined ? `flow '${flow}' has no run to resume` : `flow '${flow}' has no run '${named}'`,
    fix: newest ? `its newest runs are ${newest}` : `start one first; looked in ${datastore.location}`,
  })
}

async function refuseWhenAlive(datastore: Datastore, { flow, run, jobs }: RunRecord): Promise<void> {
  const last = (await datastore.listRecords(keys.owners(flow, run))).at(-1)
  const owner = last && ((await datastore.readRecord(last)) as unknown as OwnerRecord | undefined)
  // Once a node was found not to see the datastore, its tasks have ended with their launcher.
  if (jobs && !(await datastore.readRecord(keys.relayed(flow, run)))) {
    throw new GangflowError({
      code: 'E_RUN_OWNED',
      what: `run ${flow}/${run} has no end yet: jobs of it may go on`,
      fix: `gangflow attach ${flow}/${run} goes on with it; with --cancel it ends it, and it can be resumed then`,
    })
  }
  if (!owner || ownerState(owner) !== 'alive') return
  throw new GangflowError({
    code: 'E_RUN_OWNED',
    what: `run ${flow}/${run} is still running: process ${owner.pid} on this machine`,
    fix: 'wait for its end, or stop it first',
  })
}

async function readTasks(datastore: Datastore, flow: string, run: string): Promise<OriginTask[]> {
  const specs = (await datastore.listRecords(keys.tasks(flow, run), { depth: 3 })).filter((key) =>
    key.endsWith('/done'),
  )
  const tasks = await inBatches(specs, async (key): Promise<OriginTask | undefined> => {
    const done = (await datastore.readRecord(key)) as unknown as DoneRecord | undefined
    const spec = (await datastore.readRecord(key.replace(/done$/, 'spec'))) as unknown as TaskRecord | undefined
    return done && spec && { spec, done }
  })
  return tasks.filter((task) => task !== undefined)
}

/** Writes what is taken over into the new run: each task's record naming its origin, and its DoneRecord as it was. */
export async function copyReused(
  datastore: Datastore,
  { flow, run, origin }: { readonly flow: string; readonly run: string; readonly origin: string },
  reused: readonly ReusedTask[],
): Promise<void> {
  await inBatches(reused, async ({ planned, origin: task }) => {
    const { reuse: _, ...rest } = planned
    const address = { flow, run, step: planned.step, task: planned.task }
    const from = task.spec.origin ?? { run: origin, task: task.spec.task }
    const spec: TaskRecord = { ...rest, createdAt: Date.now(), origin: from }
    await datastore.createRecord(keys.task(address), json(spec))
    await datastore.createRecord(keys.done(address), json(task.done))
  })
}

/** Works on items, some at once. */
export async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index]!)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}

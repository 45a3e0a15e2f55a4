import type { Datastore } from '../datastore/contract.js'
import { keys, type TaskRecord } from '../datastore/records.js'
import type { PlannedTask } from './plan.js'
import { json } from './run-record.js'

/** Creates the record of a task that is decided on, if it is absent; false where it is there. On disk with the next thing that is to be. */
export function keepTask(
  datastore: Datastore,
  { flow, run }: { readonly flow: string; readonly run: string },
  { reuse: _, ...planned }: PlannedTask,
): Promise<boolean> {
  const spec: TaskRecord = { ...planned, createdAt: Date.now() }
  const address = { flow, run, step: planned.step, task: planned.task }
  return datastore.createRecord(keys.task(address), json(spec), { durable: false })
}

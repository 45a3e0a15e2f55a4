import type { Datastore } from '../datastore/contract.js'
import { keys, type RunEndRecord, type RunRecord } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { Json } from '../flow/values.js'
import { thisOwner } from './owner.js'
import { newRunId } from './run-id.js'

/** A record as the JSON that it is. */
export const json = (record: object): Json => record as unknown as Json

/** Creates the run and makes this process its owner; the id is drawn anew while another launcher took it. */
export async function createRun(
  datastore: Datastore,
  record: Omit<RunRecord, 'version' | 'run'>,
  tags: readonly string[],
): Promise<RunRecord> {
  for (;;) {
    const created: RunRecord = { version: 1, run: newRunId(), ...record }
    const { flow, run } = created
    if (!(await datastore.createRecord(keys.run(flow, run), json(created)))) continue
    if (!(await datastore.createRecord(keys.owner(flow, run, 1), json(thisOwner())))) throw owned(flow, run)
    if (tags.length > 0) await datastore.putRecord(keys.tags(flow, run), [...tags])
    return created
  }
}

/** Writes how the run ended; false when an end was there already. */
export const endRun = (datastore: Datastore, flow: string, run: string, end: RunEndRecord): Promise<boolean> =>
  datastore.createRecord(keys.end(flow, run), json(end))

export const owned = (flow: string, run: string) =>
  new GangflowError({
    code: 'E_RUN_OWNED',
    what: `run ${flow}/${run} belongs to another launcher`,
    fix: 'wait for its end, or stop that launcher first',
  })

import type { Datastore } from '../datastore/contract.js'
import { thisOwner } from '../datastore/owner.js'
import { keys, type RunEndRecord, type RunRecord } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { Json } from '../flow/values.js'
import { newRunId } from './run-id.js'

/** A record as the JSON that it is. */
export const json = (record: object): Json => record as unknown as Json

/** Takes a run id that nobody has, at best the wished one: whoever creates the first owner's record owns the run. */
export async function claimRun(datastore: Datastore, flow: string, wished: string): Promise<string> {
  for (let run = wished; ; run = newRunId()) {
    if (await datastore.createRecord(keys.owner(flow, run, 1), json(thisOwner()), { durable: false })) return run
  }
}

/** From here on the run exists. */
export async function createRun(datastore: Datastore, record: RunRecord, tags: readonly string[]): Promise<void> {
  const { flow, run } = record
  if (tags.length > 0) await datastore.putRecord(keys.tags(flow, run), [...tags])
  if (!(await datastore.createRecord(keys.run(flow, run), json(record)))) throw owned(flow, run)
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

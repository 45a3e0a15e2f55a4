import type { StopReason } from '../body/contract.js'
import type { Datastore } from '../datastore/contract.js'
import {
  type AttemptFailedRecord,
  type DoneRecord,
  type JobEngine,
  keys,
  type TaskRecord,
} from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { RunContext } from './context.js'
import { stepsOf } from './context.js'
import type { RunResult } from './contract.js'
import type { RunControl } from './control.js'
import type { Journal, JournalEntry } from './journal.js'
import { conclude, perform } from './lead.js'
import type { LoopEnd } from './loop.js'
import { NextGang } from './next-gang.js'
import { keyOf } from './plan.js'
import { type Left, planStanding, type Standing } from './recover.js'
import { inBatches } from './resume.js'
import { elsewhere, jobsOf, type RunServices } from './run.js'
import { endRun } from './run-record.js'
import { type Attachable, takeUp } from './take-up.js'
import { unlessHung } from './unless-hung.js'
import { withVerdict } from './verdict.js'

export interface AttachRequest {
  readonly takeOver?: boolean
}

/** Takes a run up as it stands and leads it to its end. Rejects where it cannot; afterwards every failure is in the result. */
export async function executeAttach(
  services: RunServices,
  { record, launch }: Attachable,
  request: AttachRequest,
  control: RunControl,
): Promise<RunResult> {
  const startedAt = performance.now()
  const { datastore } = services
  const { flow, run, description } = record
  const compiled = { ...launch.compiled, description, uses: { pinned: [], sources: [] } }
  const keeper = await services.startKeeper(run)
  let end: LoopEnd | undefined
  let context: RunContext | undefined
  try {
    const backend = services.backend(keeper, compiled.core)
    const note = (text: string) => control.emit({ type: 'attaching', text })
    const takeOver = request.takeOver ? { takeOver: true } : {}
    const { journal, entries } = await takeUp(datastore, {
      flow,
      run,
      launch,
      signal: control.signal,
      note,
      ...takeOver,
    })
    control.named(flow, run)
    const before = entries.findLast((entry) => entry.kind === 'end')
    if (before) return await finish(datastore, before, journal, control, { flow, run, startedAt })
    const { env, tags, gangTimeouts } = launch
    const host = await services.startHost(keeper, run)
    const about = { flow, run, compiled, backend, env, datastore, capacity: elsewhere(), gangTimeouts }
    context = {
      record,
      tags,
      compiled,
      datastore,
      keeper,
      host,
      runGang: services.runGang,
      nextGang: new NextGang(about, stepsOf(description)),
      backend,
      jobs: jobsOf(datastore, { compiled, backend }, journal, run, launch),
      journal,
      capacity: elsewhere(),
      control,
      temp: datastore.scratch('tmp', flow, run),
      baseEnv: {},
      env,
      gangTimeouts,
    }
    const { plan, done, ...start } = await standing(datastore, record, entries)
    const attached = { owner: journal.owner, done, begun: start.begun.length }
    control.emit({ type: 'run-started', flow, run, description, attached })
    control.detachable(true)
    end = await perform(context, launch, plan, start, services.save)
    return await conclude(context, end, startedAt)
  } catch (error) {
    throw control.signal.aborted && !context ? givenUp(control.signal, `${flow}/${run}`, error) : error
  } finally {
    const left = Promise.all([context?.jobs?.close(end?.status === 'done'), context?.host.close()])
    await unlessHung(end, left).catch(() => {})
    await keeper.close({ graceMs: 0 }).catch(() => {})
  }
}

function givenUp(signal: AbortSignal, run: string, cause: unknown): GangflowError {
  const { why } = signal.reason as StopReason
  const what = `run ${run} was not attached to: ${why}`
  return new GangflowError(withVerdict('cancelled', { code: 'E_RUN_CANCELLED', what }), { cause })
}

/** An owner before has decided on the end, and may have died before it was written where everybody reads it. */
async function finish(
  datastore: Datastore,
  { end }: JournalEntry & { readonly kind: 'end' },
  journal: Journal,
  control: RunControl,
  { flow, run, startedAt }: { readonly flow: string; readonly run: string; readonly startedAt: number },
): Promise<RunResult> {
  await journal.check()
  await endRun(datastore, flow, run, end)
  const { status, error } = end
  const result: RunResult = {
    flow,
    run,
    status,
    durationMs: performance.now() - startedAt,
    ...(error ? { error } : {}),
  }
  control.emit({ type: 'run-ended', result })
  return result
}

async function standing(
  datastore: Datastore,
  {
    flow,
    run,
    description,
  }: { readonly flow: string; readonly run: string; readonly description: Parameters<typeof planStanding>[0] },
  entries: readonly JournalEntry[],
): Promise<Standing> {
  const read = async <T>(key: string) => (await datastore.readRecord(key)) as unknown as T | undefined
  const found = await datastore.listRecords(keys.tasks(flow, run), { depth: 3 })
  const all = async <T>(name: string) =>
    await inBatches(
      found.filter((key) => key.endsWith(`/${name}`)),
      (key) => read<T>(key).then((record) => ({ key, record })),
    )
  const specs = (await all<TaskRecord>('spec')).flatMap(({ record }) => (record ? [record] : []))
  const root = `${keys.tasks(flow, run)}/`
  const done = new Map<string, DoneRecord>()
  for (const { key, record } of await all<DoneRecord>('done'))
    if (record) done.set(key.slice(root.length, -'/done'.length), record)
  const jobs = entries.filter((entry) => entry.kind === 'jobs')
  const attempts = jobs.flatMap(({ tasks }) => tasks).filter(({ task }) => !done.has(keyOf(task)))
  const failed = new Map<string, AttemptFailedRecord[]>()
  await inBatches(attempts, async ({ task, attempt }) => {
    const record = await read<AttemptFailedRecord>(
      keys.attemptFailed({ flow, run, step: task.step, task: task.task, attempt }),
    )
    if (!record) return
    const known = failed.get(keyOf(task)) ?? []
    failed.set(keyOf(task), known)
    if (known.every((one) => one.attempt !== attempt)) known.push(record)
  })
  const named = new Set<string>()
  await inBatches(jobs, async ({ name }) => {
    if ((await read<JobEngine>(keys.jobEngine(flow, run, name)))?.id) named.add(name)
  })
  const left: Left = { entries, specs, done, failed, named }
  return planStanding(description, left)
}

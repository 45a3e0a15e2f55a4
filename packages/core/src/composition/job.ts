import { readFileSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { openBodyHost } from '../body/host.js'
import { loadCompiled } from '../body/load-shared.js'
import { sweepRunDirectories } from '../body/run-directory.js'
import type { Datastore } from '../datastore/contract.js'
import { openDatastore } from '../datastore/open.js'
import { type JobEngine, keys, type RunRecord } from '../datastore/records.js'
import { discover } from '../discovery/discover.js'
import { GangflowError, messageOf } from '../errors/base.js'
import type { GangBackend } from '../gang/contract.js'
import { runGang } from '../gang/run-gang.js'
import { startKeeper } from '../process/start.js'
import { type AttemptOutcome, runAttempt } from '../runtime/attempt.js'
import { type RunContext, stepsOf } from '../runtime/context.js'
import type { RunControl } from '../runtime/control.js'
import type { JobDone, JobRecord } from '../runtime/job-record.js'
import { DecidedEnd } from '../runtime/journal.js'
import { keepTask } from '../runtime/keep-task.js'
import { NextGang } from '../runtime/next-gang.js'
import { json } from '../runtime/run-record.js'
import { launcherVerdict } from '../runtime/verdict.js'
import { loadBackend } from './backends.js'
import { builtInBackends } from './built-in.js'
import { machineCapacity } from './capacity.js'
import { JobStarts } from './job-starts.js'
import { JobWarnings } from './job-warning.js'
import { whenNeeded } from './when-needed.js'

/** Milliseconds that a task has for its end once the engine wants it; the engine kills what is left then. */
const GRACE_MS = 25_000

/** And to be ended by an engine that has taken the job back. */
const BACK_MS = 60_000

/** Milliseconds between two looks whether the run is to end: an engine that is away tells nobody. */
const DECIDED_MS = 10_000

/** One of so many elements of an array looks for what killed processes have left on its node. */
const SWEEPING = 16

/** One line for the launcher, which follows this job's output. */
const say = (told: object): void => void writeSync(1, `${JSON.stringify(told)}\n`)

/** Runs one task of a job to its committed end and leaves with 0, or with 1 where the task failed. */
export async function runJob(argv: readonly string[]): Promise<never> {
  let code = 1
  try {
    code = await perform(argv)
  } catch (error) {
    const facts = GangflowError.is(error) ? error.toJSON() : { code: 'E_RUN_FAULT', what: messageOf(error) }
    say({ type: 'job-ended', ok: false, error: facts })
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  }
  // Whatever is still open belongs to nobody any more.
  process.exit(code)
}

async function perform([
  folder = '',
  location = '',
  flow = '',
  run = '',
  job = '',
  index = '0',
  id = '',
]: readonly string[]): Promise<number> {
  const stop = new AbortController()
  let asked: NodeJS.Signals | undefined
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => {
      asked ??= signal
      stop.abort({ cause: 'preempted', why: `its job was told to end (${signal})`, graceMs: GRACE_MS })
    })
  const warned = new Promise<void>((resolve) => process.on('SIGUSR2', () => resolve()))
  // It starts while the records are read.
  const keeping = startKeeper({ mark: run, root: true })
  keeping.catch(() => {})
  const datastore = await openDatastore(location)
  const read = async <T>(key: string): Promise<T> => {
    const record = (await datastore.readRecord(key)) as unknown as T | undefined
    if (record !== undefined) return record
    throw new GangflowError({
      code: 'E_JOB_SPEC',
      what: `the datastore ${location}, as ${hostname()} sees it, has no ${key}`,
      fix: 'let the datastore be a directory that every node sees at the same path: --datastore DIR',
    })
  }
  const [record, spec] = await Promise.all([
    read<RunRecord>(keys.run(flow, run)),
    read<JobRecord>(keys.job(flow, run, job)),
  ])
  const decided = new DecidedEnd(datastore, flow, run, job)
  if (!(await counts(datastore, keys.jobEngine(flow, run, job), id)) || (await decided.look())) {
    say({ type: 'note', text: 'another job does its task, or nobody wants it any more' })
    return 0
  }
  const own = spec.tasks[Number(index)]
  if (!own) throw new GangflowError({ code: 'E_JOB_SPEC', what: `job ${job} has no task ${index}` })
  const step = stepsOf(record.description).get(own.task.step)!
  const { restarts } = discover({
    env: process.env,
    readFile: (path) => readFileSync(path, 'utf8'),
    hostname: hostname(),
  })
  const address = { flow, run, step: own.task.step, task: own.task.task, attempt: own.attempt }
  // Its node was given up, and it came to its end there all the same.
  if (restarts > 0 && (await datastore.readRecord(keys.done(address)))) {
    say({ type: 'job-ended', ok: true, restarts })
    return 0
  }
  const place = join(datastore.scratch('jobs', flow, run), `${job}-${index}`)
  const starts = new JobStarts(place, restarts)
  const lost = starts.refusal(step.name)
  if (lost) {
    const verdict = launcherVerdict('infrastructure', lost)
    await datastore.putRecord(keys.attemptFailed(address), json({ attempt: own.attempt, endedAt: Date.now(), verdict }))
    say({ type: 'job-ended', ok: false, restarts, error: lost })
    return 1
  }
  stop.signal.addEventListener('abort', () => starts.told())
  if (stop.signal.aborted) starts.told()
  // Its launcher may not have come to it yet.
  if ((await datastore.readRecord(keys.task(address))) === undefined) await keepTask(datastore, address, own.task)
  const warnings = new JobWarnings({
    place,
    restarts,
    step,
    note: (text) => say({ type: 'note', text }),
    stop: (reason) => stop.abort(reason),
  })
  const keeper = await keeping
  const spool = datastore.scratch('spool', run)
  const host = await openBodyHost({ keeper, datastore, spool })
  const logs: Promise<unknown>[] = []
  try {
    say({ type: 'job-began', restarts })
    // What its former start said of its own end is history.
    if (restarts > 0) await datastore.deleteRecord(keys.attemptFailed(address))
    const context = {
      ...(await contextOf({
        record,
        spec,
        gangSize: own.task.gangSize,
        folder,
        datastore,
        keeper,
        host,
        signal: stop.signal,
      })),
      restarts,
    }
    void warned.then(() => warnings.heard(context.backend))
    setInterval(() => {
      // Of a datastore that does not answer the task itself will tell.
      const ended = decided.look().catch(() => undefined)
      void ended.then((reason) => reason && stop.abort(reason))
    }, DECIDED_MS).unref()
    const outcome = await runAttempt(context, {
      task: own.task,
      step,
      attempt: own.attempt,
      lease: { cpu: 0, gpus: [] },
      signal: stop.signal,
      recorded: Promise.resolve(),
      free: () => {},
      began: () => {},
      ending: () => {},
      keepLog: (logged) => void logs.push(logged.catch(() => {})),
    })
    warnings.close()
    // Whoever follows goes on; what has to be stored and ended takes some time more.
    if (outcome.ok) say({ type: 'job-done' } satisfies JobDone)
    await Promise.all(logs)
    await host.close()
    // What killed ones have left here: nobody waits for that any more, and not every element of an array needs to look.
    if (outcome.ok && Number(index) % SWEEPING === 0) await sweepRunDirectories().catch(() => {})
    await keeper.close({ graceMs: 0 }).catch(() => {})
    await datastore.close()
    const preempted = !outcome.ok && outcome.verdict.cause === 'preempted'
    const back = preempted && (await warnings.putBack(context.backend))
    say(lastOf(outcome, preempted || asked !== undefined, restarts))
    // The engine ends what it takes back.
    if (back) await new Promise((resolve) => setTimeout(resolve, BACK_MS))
    return outcome.ok ? 0 : 1
  } finally {
    await keeper.close({ graceMs: 0 }).catch(() => {})
  }
}

/**
 * Whether this is the job that was meant: the first to be named for its entry in the journal. One whose launcher was killed
 * while it handed it over may turn up after the launcher's successor has given it up.
 */
async function counts(datastore: Datastore, key: string, id: string): Promise<boolean> {
  if (id === '') return true
  const read = async () => (await datastore.readRecord(key)) as unknown as JobEngine | undefined
  const mine: JobEngine = { id }
  const there = (await read()) ?? ((await datastore.createRecord(key, json(mine))) ? mine : await read())
  return there?.id === id
}

const lastOf = (outcome: AttemptOutcome, stopped: boolean, restarts: number): object => ({
  type: 'job-ended',
  ok: outcome.ok,
  restarts,
  ...(stopped ? { stopped } : {}),
  ...(!outcome.ok && outcome.error ? { error: outcome.error } : {}),
})

interface Parts extends Pick<RunContext, 'record' | 'datastore' | 'keeper' | 'host'> {
  readonly spec: JobRecord
  readonly gangSize: number | undefined
  /** Where core's compiled form is kept. */
  readonly folder: string
  readonly signal: AbortSignal
}

/** The run as a launcher has it, on this node. */
async function contextOf({
  record,
  spec,
  gangSize,
  folder,
  datastore,
  keeper,
  host,
  signal,
}: Parts): Promise<RunContext> {
  const { flow, run, description } = record
  const compiled = { ...spec.compiled, description, uses: { pinned: [], sources: [] } }
  const dist = join(compiled.core, 'dist')
  const load = async (): Promise<GangBackend> => {
    // What the backend's package takes of core is loaded from its compiled form too.
    loadCompiled(dist, 'shared', folder)
    const factory = await loadBackend(spec.backend, compiled.file, builtInBackends)
    return factory(spec.options, { keeper, agent: join(dist, 'agent.cjs'), inJob: true })
  }
  // An ordinary task has no need of it, unless its job is warned or taken away.
  const backend = gangSize !== undefined ? await load() : whenNeeded(spec.backend, load)
  const { env, tags, gangTimeouts } = spec
  const capacity = machineCapacity(undefined)
  const never = new AbortController().signal
  const control: RunControl = { signal, kill: never, leave: never, emit: say, named: () => {}, detachable: () => {} }
  const about = { flow, run, compiled, backend, env, datastore, capacity, gangTimeouts }
  return {
    record,
    tags,
    compiled,
    datastore,
    keeper,
    host,
    runGang,
    nextGang: new NextGang(about, stepsOf(description)),
    backend,
    capacity,
    control,
    temp: tempOf(datastore, flow, run),
    baseEnv: process.env as Record<string, string>,
    env,
    gangTimeouts,
  }
}

const tempOf = (datastore: Datastore, flow: string, run: string): string => datastore.scratch('tmp', flow, run)

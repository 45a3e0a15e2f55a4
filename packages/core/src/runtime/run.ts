import { hostname } from 'node:os'
import type { BodyHost, StopReason } from '../body/contract.js'
import type { CompiledFlow, CompileRequest } from '../compile/contract.js'
import type { Datastore } from '../datastore/contract.js'
import type { ArtifactTable, RunRecord } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import { coreVersion } from '../errors/version.js'
import type { FlowDescription, GangTimeouts } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { GangBackend, PrepareGang, RunGang } from '../gang/contract.js'
import type { Keeper } from '../process/contract.js'
import type { Capacity } from './admission.js'
import type { SaveArtifact } from './catch.js'
import { checkFlow, checkGangs } from './check.js'
import { type RunContext, stepsOf } from './context.js'
import type { RunOptions, RunResult } from './contract.js'
import type { RunControl } from './control.js'
import { refuseDetached, whyTied } from './detach.js'
import { dryRun } from './dry-run.js'
import type { LaunchRecord } from './job-record.js'
import { Jobs } from './jobs.js'
import { Journal } from './journal.js'
import { conclude, perform } from './lead.js'
import type { LoopEnd } from './loop.js'
import { NextGang } from './next-gang.js'
import { Plan } from './plan.js'
import { prepareFirst } from './prepare.js'
import { copyReused, findOrigin } from './resume.js'
import type { ResumePlan } from './reuse.js'
import { newRunId } from './run-id.js'
import { claimRun, createRun } from './run-record.js'
import { unlessHung } from './unless-hung.js'
import { withVerdict } from './verdict.js'

/** What a run is made with: each made once, for one run, by `composition/`. */
export interface RunServices {
  readonly datastore: Datastore
  readonly capacity: Capacity
  backend(keeper: Keeper, core: string): GangBackend
  /** How a job's own process makes that backend again. */
  readonly backendName?: { readonly name: string; readonly options: Readonly<Record<string, Json>> }
  readonly runGang: RunGang
  readonly prepareGang?: PrepareGang
  readonly save: SaveArtifact
  compile(request: CompileRequest): Promise<CompiledFlow>
  /** The root keeper: everything that the run starts hangs below it. */
  startKeeper(run: string): Promise<Keeper>
  startHost(keeper: Keeper, run: string): Promise<BodyHost>
  /** Validates and stores the parameters; `origin` are those of the run that is resumed. */
  parameters(description: FlowDescription, origin: ArtifactTable | undefined): Promise<ArtifactTable>
}

/** The options that the engine itself needs, resolved. */
export interface RunRequest {
  readonly file: string
  readonly user: string
  readonly tags: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  readonly inspect?: RunOptions['inspect']
  readonly dryRun?: boolean
  /** Tasks at once, where somebody said so. */
  readonly maxWorkers?: number
  readonly gangTimeouts?: Partial<GangTimeouts>
  readonly resume?: { readonly origin?: string; readonly from?: string }
  readonly detach?: boolean
  readonly detachable?: boolean
}

/** Runs a flow to its end. Rejects when the run could not start; afterwards every failure is in the result. */
export async function executeRun(services: RunServices, request: RunRequest, control: RunControl): Promise<RunResult> {
  if (request.dryRun) return await dryRun(services, request, control)
  const startedAt = performance.now()
  const wished = newRunId()
  const keeping = services.startKeeper(wished)
  keeping.catch(() => {})
  let host: BodyHost | undefined
  let nextGang: NextGang | undefined
  let jobs: Jobs | undefined
  let exists = false
  let end: LoopEnd | undefined
  try {
    const compiled = await services.compile({ file: request.file, signal: control.signal })
    checkFlow(compiled.description, request)
    const keeper = await keeping
    host = await services.startHost(keeper, wished)
    const backend = services.backend(keeper, compiled.core)
    const made = { compiled, keeper, host, control, backend, env: request.env, wished }
    nextGang = nextGangOf(services, request, made)
    const ready = await begin(services, request, { ...made, nextGang })
    exists = true
    jobs = ready.context.jobs
    const { plan, ready: first } = ready.resume
    end = await perform(
      ready.context,
      request,
      plan,
      { ready: first, ...(request.detach ? { detach: true } : {}) },
      services.save,
    )
    return await conclude(ready.context, end, startedAt)
  } catch (error) {
    throw control.signal.aborted && !exists ? givenUp(control.signal, error) : error
  } finally {
    const left = Promise.all([jobs?.close(end?.status === 'done'), nextGang?.close(), host?.close()])
    await unlessHung(end, left).catch(() => {})
    await keeping.then((keeper) => keeper.close({ graceMs: 0 })).catch(() => {})
  }
}

interface Made extends Pick<RunContext, 'compiled' | 'keeper' | 'host' | 'control' | 'backend' | 'env' | 'nextGang'> {
  readonly wished: string
}

function nextGangOf(services: RunServices, request: RunRequest, made: Omit<Made, 'nextGang'>): NextGang {
  const { datastore, capacity, prepareGang } = services
  const { compiled, backend, env, wished } = made
  const { inspect, gangTimeouts = {} } = request
  const { description } = compiled
  const flow = description.name
  const about = { flow, run: wished, compiled, backend, env, datastore, capacity, gangTimeouts }
  return new NextGang(
    { ...about, ...(inspect && { inspect }), ...(prepareGang && { prepareGang }) },
    stepsOf(description),
  )
}

/** Everything up to the point from which the run exists. */
async function begin(
  services: RunServices,
  request: RunRequest,
  made: Made,
): Promise<{ context: RunContext; resume: ResumePlan }> {
  const { datastore } = services
  const { compiled, control, backend, env, nextGang, wished } = made
  const { description } = compiled
  const flow = description.name
  const baseEnv = definedOf(process.env)
  const { inspect, tags } = request
  const origin = request.resume && (await findOrigin(datastore, description, request.resume))
  const resume = origin?.plan ?? fresh(description)
  const steps = stepsOf(description)
  const first = steps.get(resume.ready[0]?.step ?? '')
  if (first !== undefined && !isElsewhere(backend))
    prepareFirst({ ...made, baseEnv, ...(inspect ? { inspect } : {}) }, steps, first)
  const parameters = await services.parameters(description, origin?.record.parameters)
  control.signal.throwIfAborted()
  // What is reused of an origin may have asked for more.
  if (!origin) checkGangs(description, backend)
  if (request.detach || request.detachable) refuseDetached(backend)
  const launch = launchOf(services, request, made)
  const run = await claimRun(datastore, flow, wished)
  if (run !== wished) void nextGang.close()
  if (origin) await copyReused(datastore, { flow, run, origin: origin.record.run }, resume.reused)
  const record: RunRecord = {
    version: 1,
    flow,
    run,
    file: compiled.file,
    user: request.user,
    host: hostname(),
    startedAt: Date.now(),
    coreVersion,
    backend: backend.name,
    description,
    bundle: compiled.ref,
    parameters,
    ...(origin ? { origin: { run: origin.record.run, ...(origin.from ? { from: origin.from } : {}) } } : {}),
    ...(launch && whyTied(backend) === undefined ? { jobs: true } : {}),
  }
  const owned = launch && (await ownedJobs(services, made, run, launch))
  await createRun(datastore, record, tags)
  announce(control, record, resume)
  control.detachable(record.jobs === true)
  const { runGang } = services
  const capacity = owned ? elsewhere() : isElsewhere(backend) ? elsewhere(request.maxWorkers) : services.capacity
  const temp = datastore.scratch('tmp', flow, run)
  const context = {
    ...made,
    record,
    datastore,
    backend,
    runGang,
    capacity,
    ...owned,
    temp,
    tags,
    baseEnv,
    env,
    gangTimeouts: request.gangTimeouts ?? {},
  }
  return { context: inspect ? { ...context, inspect } : context, resume }
}

const isElsewhere = ({ jobs, tasks }: GangBackend): boolean => jobs !== undefined || tasks === 'member'

/** What is taken elsewhere is not this machine's. */
export const elsewhere = (workers = Number.MAX_SAFE_INTEGER): Capacity => ({
  workers,
  cpus: Number.POSITIVE_INFINITY,
  gpus: [],
})

function launchOf(
  { backendName }: Pick<RunServices, 'backendName'>,
  { tags, gangTimeouts = {}, maxWorkers, inspect, timeoutMs }: RunRequest,
  { compiled, backend, env }: Pick<Made, 'compiled' | 'backend' | 'env'>,
): LaunchRecord | undefined {
  if (!backend.jobs || !backendName) return undefined
  if (inspect) {
    throw new GangflowError({
      code: 'E_OPTION',
      what: `--inspect cannot be used with backend '${backend.name}': the step runs in a job`,
      fix: 'run it with --backend local',
    })
  }
  const { file, bundle, core, ref } = compiled
  return {
    backend: backendName.name,
    options: backendName.options,
    compiled: { file, bundle, core, ref },
    env,
    tags,
    gangTimeouts,
    ...(maxWorkers === undefined ? {} : { atOnce: maxWorkers }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}

/** The first owner's: what it decides is kept from the start, so that the run has a journal before it exists. */
async function ownedJobs(
  { datastore }: RunServices,
  made: Pick<Made, 'compiled' | 'backend'>,
  run: string,
  launch: LaunchRecord,
): Promise<Required<Pick<RunContext, 'jobs' | 'journal'>>> {
  const journal = new Journal(datastore, made.compiled.description.name, run, 1)
  await journal.append({ kind: 'owner', launch })
  return { journal, jobs: jobsOf(datastore, made, journal, run, launch) }
}

export function jobsOf(
  datastore: Datastore,
  { compiled, backend }: Pick<RunContext, 'compiled' | 'backend'>,
  journal: Journal,
  run: string,
  launch: LaunchRecord,
): Jobs {
  const flow = compiled.description.name
  const { relayed } = backend
  return new Jobs({
    backend: backend.jobs!,
    ...(relayed && { relayed }),
    journal,
    launch,
    flow,
    run,
    compiled,
    datastore,
  })
}

function announce(control: RunControl, { flow, run, description, origin }: RunRecord, { reused }: ResumePlan): void {
  control.named(flow, run)
  control.emit({ type: 'run-started', flow, run, description, ...(origin ? { origin: origin.run } : {}) })
  for (const { planned, origin: task } of reused) {
    const { attempt } = task.done
    control.emit({ type: 'task-reused', step: planned.step, task: planned.task, attempt, origin: task.spec.task })
  }
}

const fresh = (description: FlowDescription): ResumePlan => {
  const plan = new Plan(description)
  return { plan, reused: [], ready: plan.start() }
}

function givenUp(signal: AbortSignal, cause: unknown): GangflowError {
  const { why } = signal.reason as StopReason
  const what = `the run was given up before it began: ${why}`
  return new GangflowError(withVerdict('cancelled', { code: 'E_RUN_CANCELLED', what }), { cause })
}

function definedOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

import { dirname, join } from 'node:path'
import type { CompiledFlow } from '../compile/contract.js'
import { foldersOf } from '../compile/package/project-parts.js'
import { summarize } from '../compile/package/summary.js'
import type { Datastore } from '../datastore/contract.js'
import { GangflowError } from '../errors/base.js'
import type { StepDescription } from '../flow/description.js'
import type { Json } from '../flow/values.js'
import type { GangBackend } from '../gang/contract.js'
import { isDelivered } from '../gang/delivered.js'
import type { Keeper } from '../process/contract.js'
import { checkFlow, literalSize } from './check.js'
import type { RunResult, StepPlan } from './contract.js'
import type { RunControl } from './control.js'
import { jobRequest } from './jobs.js'
import { findOrigin } from './resume.js'
import type { RunRequest, RunServices } from './run.js'

/** Checks everything that a run checks, and tells what each step would be started with; starts no task. */
export async function dryRun(services: RunServices, request: RunRequest, control: RunControl): Promise<RunResult> {
  const startedAt = performance.now()
  const compiled = await services.compile({ file: request.file, signal: control.signal })
  const { description } = compiled
  checkFlow(description, request)
  const origin = request.resume && (await findOrigin(services.datastore, description, request.resume))
  await services.parameters(description, origin?.record.parameters)
  const backend = services.backend(noKeeper, compiled.core)
  backend.check?.(description)
  const plans = description.steps.map((step) => planStep(step, compiled, backend, request, services.datastore))
  control.named(description.name, 'dry-run')
  for (const plan of plans) control.emit({ type: 'plan', plan })
  const sent =
    !backend.jobs && isDelivered(backend) && (backend.tasks === 'member' || plans.some(({ kind }) => kind === 'gang'))
  const summary = sent
    ? await summarize(compiled, { ...compiled.package, without: foldersOf(services.datastore) }, control.signal)
    : undefined
  if (summary) control.emit({ type: 'package', summary })
  const durationMs = performance.now() - startedAt
  const result: RunResult = {
    flow: description.name,
    run: 'dry-run',
    status: 'done',
    durationMs,
    plans,
    ...(summary ? { package: summary } : {}),
  }
  control.emit({ type: 'run-ended', result })
  return result
}

function planStep(
  step: StepDescription,
  compiled: CompiledFlow,
  backend: GangBackend,
  { env, gangTimeouts, maxWorkers }: Pick<RunRequest, 'env' | 'gangTimeouts' | 'maxWorkers'>,
  datastore: Datastore,
): StepPlan {
  const { description, core } = compiled
  const shared = {
    step: step.name,
    resources: step.resources,
    environment: masked({ ...env, ...step.environment }),
    plugins: step.plugins,
    ...(step.retry ? { retry: step.retry } : {}),
    ...(step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs }),
  }
  const inJob = (gangSize?: number): Json | undefined => {
    if (!backend.jobs) return undefined
    const about = { flow: description.name, run: '<run>', compiled, datastore }
    const request = jobRequest(maxWorkers === undefined ? about : { ...about, atOnce: maxWorkers }, {
      step,
      count: 1,
      job: '<job>',
      gangSize,
    })
    return JSON.parse(JSON.stringify(backend.jobs.plan(request))) as Json
  }
  const member = (size: number): Json => {
    const address = { flow: description.name, run: '<run>', step: step.name, task: '<task>', attempt: 0 }
    return JSON.parse(JSON.stringify(backend.plan({ address, step, size, resources: step.resources }))) as Json
  }
  if (!step.gang) {
    const job = inJob()
    if (job !== undefined) return { ...shared, kind: 'task', request: job }
    if (backend.tasks === 'member') return { ...shared, kind: 'task', request: member(1) }
    const request = { argv: [process.execPath, join(core, 'dist', 'body.cjs')], cwd: dirname(description.file) }
    return { ...shared, kind: 'task', request }
  }
  const size = literalSize(description, step.name)
  const timeouts = { ...gangTimeouts, ...step.gang.timeouts }
  const request = inJob(size ?? 1) ?? member(size ?? 1)
  return {
    ...shared,
    kind: 'gang',
    size: size ?? '<from the step>',
    ...(Object.keys(timeouts).length > 0 ? { gangTimeouts: timeouts } : {}),
    request,
  }
}

const secret = /key|token|secret|password|passwd|credential/i

/** What may be shown of an environment (DESIGN D12). */
export const masked = (env: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, secret.test(name) ? '***' : value]))

const nothing = () => Promise.reject(new GangflowError({ code: 'E_RUN_FAULT', what: 'a dry run starts no process' }))

const noKeeper: Keeper = {
  pid: 0,
  native: false,
  spawn: nothing,
  hold: nothing,
  stopAll: async () => {},
  closed: new Promise(() => {}),
  close: async () => {},
}

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lazyArtifacts } from '../client/artifacts.js'
import { compileFlow } from '../compile/compile-flow.js'
import type { CompiledFlow } from '../compile/contract.js'
import { loadFlow } from '../compile/load-flow.js'
import { saveValues } from '../datastore/artifacts/save.js'
import type { Datastore } from '../datastore/contract.js'
import { openDatastoreSync } from '../datastore/open.js'
import { type DoneRecord, keys } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import { describeFlow } from '../flow/describe.js'
import type { FlowClass } from '../flow/invocation.js'
import { codecsOf } from '../flow/metadata.js'
import type { FlowSpec } from '../flow/spec.js'
import type { Artifacts } from '../flow/types.js'
import { startHandle } from './control.js'
import { inProcessHost, inProcessKeeper, needsProcess } from './in-process.js'
import { newParameters } from './parameters.js'
import { keyOf } from './plan.js'
import { executeRun } from './run.js'

export interface RunFlowOptions<F> {
  readonly parameters?: { readonly [K in keyof Artifacts<F>]?: Artifacts<F>[K] }
  readonly tags?: readonly string[]
  /** Aborting ends the run; a step that does not end by itself goes on in the background. */
  readonly signal?: AbortSignal
  /** Where the run is kept. Default: a temporary directory, removed when this process ends. */
  readonly datastore?: string
}

/** One finished task of a run of `runFlow`. */
export interface FlowTask<F> {
  readonly step: string
  readonly task: string
  /** How often it was tried before, by `@retry`. */
  readonly attempt: number
  /** Whether `@catchError` made a failure into this. */
  readonly caught: boolean
  /** After the task, read when asked for. */
  readonly artifacts: Artifacts<F>
}

export interface FlowResult<F> {
  /** After the end step. */
  readonly artifacts: Artifacts<F>
  /** In the order in which they ran. */
  readonly tasks: readonly FlowTask<F>[]
  readonly run: string
  /** `dir:…`, for a `Client`. */
  readonly datastore: string
}

/**
 * Runs a whole flow in this process, for tests: its steps are called here one after the other, with real artifacts in
 * a temporary datastore, retries and caught errors as in a run. Rejects with what the failing step threw, as it is.
 * A gang step needs processes: `E_TEST_GANG`.
 * @param flow the class, or the flow's file.
 */
export async function runFlow<F extends FlowSpec>(
  flow: (abstract new () => F) | string | URL,
  options: RunFlowOptions<F> = {},
): Promise<FlowResult<F>> {
  const store = openDatastoreSync(options.datastore ?? temporaryDirectory(), { sync: false })
  const { flowClass, compiled } = await loaded(flow, store)
  for (const { name, gang, plugins } of compiled.description.steps)
    if (gang || plugins.length > 0)
      throw needsProcess(
        name,
        plugins.map((use) => use.name),
      )
  const thrown = new Map<string, unknown>()
  const services = {
    datastore: store,
    capacity: { workers: 1, cpus: 1, gpus: [] },
    backend: () => ({ name: 'in-process', plan: () => null, start: () => Promise.reject(needsProcess('')) }),
    runGang: () => Promise.reject(needsProcess('')),
    save: async (value: unknown) => (await saveValues(store, [value], { label: 'caught' }))[0]!,
    compile: async () => compiled,
    startKeeper: async () => inProcessKeeper,
    startHost: async () => inProcessHost(flowClass, store, (step, error) => thrown.set(step, error)),
    parameters: () => newParameters(store, compiled.description, { values: options.parameters ?? {}, as: 'value' }),
  }
  const about = { flow: compiled.description.name, command: '', signal: options.signal }
  const request = { file: compiled.file, user: 'test', tags: options.tags ?? [], env: {} }
  const handle = startHandle(about, (control) => executeRun(services, request, control))
  // In the order in which they began, a retried one again: what is stored when may differ from run to run.
  const begun = new Map<string, { step: string; task: string }>()
  for await (const event of handle.events) {
    if (event.type !== 'task-started') continue
    begun.delete(keyOf(event))
    begun.set(keyOf(event), event)
  }
  const { run, status, error } = await handle.result
  if (status !== 'done') {
    if (error?.step !== undefined && error.verdict?.cause === 'user' && thrown.has(error.step))
      throw thrown.get(error.step)
    throw new GangflowError(error ?? { code: 'E_RUN_CANCELLED', what: 'the run was cancelled' })
  }
  const tasks = await Promise.all(
    [...begun.values()].map((task) => readTask<F>(store, flowClass, { ...task, flow: about.flow, run })),
  )
  return { artifacts: tasks.at(-1)!.artifacts, tasks, run, datastore: store.location }
}

async function loaded(
  flow: FlowClass | string | URL,
  store: Datastore,
): Promise<{ flowClass: FlowClass; compiled: CompiledFlow }> {
  if (typeof flow === 'function') {
    const description = describeFlow(flow, { file: '' })
    const none = { hash: '', size: 0 }
    return {
      flowClass: flow,
      compiled: {
        file: '',
        bundle: '',
        core: '',
        description,
        ref: { hash: '', code: none, map: none },
        uses: { pinned: [], sources: [] },
      },
    }
  }
  const compiled = await compileFlow({ file: flow instanceof URL ? flow.pathname : flow }, store)
  return { flowClass: await loadFlow(compiled.bundle, compiled.file), compiled }
}

async function readTask<F>(
  store: Datastore,
  flowClass: FlowClass,
  address: { flow: string; run: string; step: string; task: string },
): Promise<FlowTask<F>> {
  const { step, task } = address
  const done = (await store.readRecord(keys.done(address))) as unknown as DoneRecord
  const { artifacts: table, ambiguous, attempt } = done
  const artifacts = lazyArtifacts<Artifacts<F>>({ store, table, ambiguous, codecs: codecsOf(flowClass), step })
  return { step, task, attempt, caught: done.caught !== undefined, artifacts }
}

function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'gangflow-test-'))
  process.once('exit', () => rmSync(path, { recursive: true, force: true }))
  return path
}

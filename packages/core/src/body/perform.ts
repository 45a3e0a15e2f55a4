import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { type CurrentState, setProcessCurrent, withCurrent } from '../current/state.js'
import { saveArtifacts, saveValues } from '../datastore/artifacts/save.js'
import { readArtifact } from '../datastore/artifacts/source.js'
import type { ArtifactRef, Datastore } from '../datastore/contract.js'
import type { StoredTransition } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { StepDescription } from '../flow/description.js'
import type { ChosenTransition, FlowClass, StepResult } from '../flow/invocation.js'
import { invokeStep } from '../flow/invoke.js'
import { codecsOf, type PluginDecoration, pluginsOf, stepsOf } from '../flow/metadata.js'
import type { ArtifactCodec, Json } from '../flow/values.js'
import type { GangContext } from '../plugin/contract.js'
import type { BodyState, MakeContext } from './contract.js'
import { setUp, tearDown, wrapped } from './hooks.js'
import { inherit } from './parents.js'
import type { Peer } from './peer.js'
import type { Assignment, Completion } from './protocol.js'

export interface Performance {
  readonly assignment: Assignment
  readonly flowClass: FlowClass
  readonly store: Datastore
  readonly peer: Peer
  /** Aborted when the host says stop. */
  readonly signal: AbortSignal
  readonly makeContext: MakeContext
  /** Called just before the step's own code: for a debugger. */
  readonly beforeStep?: () => void | Promise<void>
  onEvent(listener: (event: string, data: Json | undefined, payload: Uint8Array) => void): void
  tell(state: BodyState): void
}

/** Runs one task in this process: what its parents left, the plugins' hooks, the step, what it leaves. */
export async function perform(performance: Performance): Promise<Extract<Completion, { ok: true }>> {
  const { assignment, flowClass, store, peer, signal, tell } = performance
  const { address, description } = assignment
  const step = described(assignment)
  const plugins = pluginsOf(stepsOf(flowClass).get(step.name)!)
  const codecs = codecsOf(flowClass)
  const inheritance = inherit(store, assignment, codecs)
  const added = new Map<string, ArtifactRef>()
  tell('setup')
  const shared = assignment.gang || plugins.length > 0
  if (shared) makeTemp(assignment)
  const gang = shared
    ? performance.makeContext({
        peer,
        assignment,
        step,
        signal,
        flowDir: dirname(description.file),
        datastore: store,
        addArtifact: (name, ref) => added.set(name, ref),
        onEvent: performance.onEvent,
      })
    : undefined
  const state = currentOf(assignment, plugins, gang)
  setProcessCurrent(state)
  try {
    const result = await withCurrent(state, () => hooked(performance, step, plugins, gang, state, codecs, inheritance))
    tell('saving')
    const saving = { step: step.name, codecs, signal }
    const artifacts = {
      ...(await saveArtifacts(store, result.artifacts, inheritance.artifacts, saving)),
      ...Object.fromEntries(added),
    }
    const transition = await storeTransition(result.transition, step, store, saving)
    const ambiguous = Object.entries(inheritance.ambiguous).filter(([name]) => !Object.hasOwn(artifacts, name))
    return {
      ok: true,
      artifacts,
      transition,
      ...(ambiguous.length > 0 ? { ambiguous: Object.fromEntries(ambiguous) } : {}),
    }
  } finally {
    setProcessCurrent(undefined)
  }

  function described({ address: { step: name } }: Assignment): StepDescription {
    const found = description.steps.find((one) => one.name === name)
    if (found && stepsOf(flowClass).has(name)) return found
    throw new GangflowError({
      code: 'E_STEP_UNKNOWN',
      what: `${address.flow} has no step '${name}'`,
      fix: 'the compiled flow is not the described one: run it again',
      step: name,
    })
  }
}

async function hooked(
  { assignment, flowClass, store, beforeStep, tell }: Performance,
  step: StepDescription,
  plugins: readonly PluginDecoration[],
  gang: GangContext | undefined,
  state: CurrentState,
  codecs: readonly ArtifactCodec[],
  { source, inputs }: ReturnType<typeof inherit>,
): Promise<StepResult> {
  const read = (name: string, ref: ArtifactRef) => readArtifact(store, ref, { codecs, name, step: step.name })
  const around = async (run: () => Promise<void>) => {
    tell('running')
    await beforeStep?.()
    await (gang ? wrapped(plugins, gang, run)() : run())
  }
  let outcome: Parameters<typeof tearDown>[2] = { ok: true }
  try {
    if (gang) await setUp(plugins, gang, state.namespaces, step.name)
    return await invokeStep({
      flowClass,
      step: step.name,
      description: step,
      parameters: Object.defineProperties(
        {},
        Object.fromEntries(
          Object.entries(assignment.parameters).map(([name, ref]) => [name, { get: () => read(name, ref) }]),
        ),
      ),
      artifacts: source,
      ...(assignment.item ? { item: { value: read('the item', assignment.item) } } : {}),
      ...(inputs ? { inputs } : {}),
      around,
    })
  } catch (error) {
    outcome = { ok: false, error }
    throw error
  } finally {
    if (gang) {
      tell('teardown')
      await tearDown(plugins, gang, outcome, step.name)
    }
  }
}

function makeTemp({ temp }: Assignment): string {
  mkdirSync(temp, { recursive: true, mode: 0o700 })
  return temp
}

function currentOf(
  assignment: Assignment,
  plugins: readonly PluginDecoration[],
  gang: GangContext | undefined,
): CurrentState {
  const { address, user, tags } = assignment
  return {
    flow: address.flow,
    run: address.run,
    step: address.step,
    task: address.task,
    attempt: address.attempt,
    user,
    tags,
    // Made when it is first asked for: most tasks never do.
    get temp() {
      return makeTemp(assignment)
    },
    ...(gang && assignment.gang ? { parallel: gang } : {}),
    namespaces: new Map(),
    plugins: plugins.map(({ plugin }) => plugin.name),
  }
}

async function storeTransition(
  transition: ChosenTransition,
  step: StepDescription,
  store: Datastore,
  saving: { step: string; codecs: readonly ArtifactCodec[]; signal: AbortSignal },
): Promise<StoredTransition> {
  if (transition.kind !== 'foreach') return transition
  const { target, items, artifact } = transition
  const stored = await saveValues(store, items, { ...saving, label: artifact })
  const reuse = step.transition.kind === 'foreach' && step.transition.reuse
  return { kind: 'foreach', target, items: stored, ...(reuse ? { reuse } : {}) }
}

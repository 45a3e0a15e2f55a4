import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { type Current, reservedNamespaces } from '../current/current.js'
import { soloParallel } from '../current/solo.js'
import { type CurrentState, withCurrent } from '../current/state.js'
import { GangflowError } from '../errors/base.js'
import type { Parallel } from '../plugin/contract.js'
import { coerceParameters, isFileValue } from './coerce.js'
import { describeFlow } from './describe.js'
import type { FlowDescription } from './description.js'
import type { ArtifactSource, ChosenTransition, FlowClass, JoinInput } from './invocation.js'
import { invokeStep } from './invoke.js'
import { pluginsOf, stepsOf } from './metadata.js'
import type { FlowSpec } from './spec.js'
import type { Artifacts, StepNames } from './types.js'

type Given<F> = { readonly [K in keyof Artifacts<F>]?: Artifacts<F>[K] }
/** What a step takes as its item. */
type ItemOf<M> = M extends (item: infer I) => unknown ? I : never

/** What `runStep` gives the step. */
export interface RunStepOptions<F extends FlowSpec, S extends StepNames<F>> {
  /** What the steps before have left. */
  readonly artifacts?: Given<F>
  /** For the target of a foreach. */
  readonly item?: ItemOf<F[S]>
  /** For a join: what each parent left, in order, or by the parents' names. After a gang the first is the control. */
  readonly inputs?: ReadonlyArray<Given<F>> | { readonly [K in StepNames<F>]?: Given<F> }
  readonly parameters?: Given<F>
  /** What `current` answers; the rest has harmless values. A plugin's namespace is what you give for it. */
  readonly current?: Partial<Omit<Current, 'parallel'>> & { readonly parallel?: Partial<Parallel> }
}

export interface RunStepResult<F extends FlowSpec> {
  /** All artifacts after the step. */
  readonly artifacts: Artifacts<F>
  readonly transition: ChosenTransition
}

const descriptions = new WeakMap<FlowClass, FlowDescription>()

/**
 * Runs one step of a flow in this process, for tests: `await runStep(Train, 'fit', { item: 'a', artifacts: { lr: 1 } })`.
 * No plugin's hook runs, nothing is stored; what the step throws is thrown as it is.
 */
export async function runStep<F extends FlowSpec, const S extends StepNames<F>>(
  flowClass: abstract new () => F,
  step: S,
  options: RunStepOptions<F, S> = {},
): Promise<RunStepResult<F>> {
  if (!descriptions.has(flowClass)) descriptions.set(flowClass, describeFlow(flowClass, { file: '' }))
  const description = descriptions.get(flowClass)!
  const temp: { directory?: string } = {}
  const inputs = options.inputs && inputsOf(description, step, options.inputs)
  const given = sourceOf({ ...options.artifacts })
  const artifacts = inputs ? withInputs(given, inputs) : given
  try {
    const result = await withCurrent(stateOf(flowClass, description, step, options.current ?? {}, temp), () =>
      invokeStep({
        flowClass,
        step,
        parameters: parametersOf(description, { ...options.parameters }),
        artifacts,
        ...('item' in options && { item: { value: options.item } }),
        ...(inputs && { inputs }),
      }),
    )
    const left = result.artifacts.map((one) => [one.name, one.state === 'value' ? one.value : artifacts.read(one.name)])
    return { transition: result.transition, artifacts: Object.fromEntries(left) as Artifacts<F> }
  } finally {
    if (temp.directory !== undefined) rmSync(temp.directory, { recursive: true, force: true })
  }
}

function sourceOf(values: Readonly<Record<string, unknown>>): ArtifactSource {
  return { names: () => Object.keys(values), read: (name) => values[name], ambiguous: () => undefined }
}

/** In a join what its inputs agree on is there too; what they differ on is ambiguous. */
function withInputs(artifacts: ArtifactSource, inputs: readonly JoinInput[]): ArtifactSource {
  const own = artifacts.names()
  const theirs = [...new Set(inputs.flatMap((input) => [...input.artifacts.names()]))].filter(
    (name) => !own.includes(name),
  )
  const holders = (name: string) => inputs.filter((input) => input.artifacts.names().includes(name))
  const agree = (name: string) => {
    const [first, ...others] = holders(name).map((input) => input.artifacts.read(name))
    return others.every((other) => Object.is(other, first))
  }
  return {
    names: () => [...own, ...theirs],
    read: (name) => (own.includes(name) ? artifacts : holders(name)[0]!.artifacts).read(name),
    ambiguous: (name) => (own.includes(name) || agree(name) ? undefined : holders(name).map((input) => input.step)),
  }
}

function inputsOf(description: FlowDescription, step: string, given: object): JoinInput[] {
  if (!Array.isArray(given))
    return Object.entries(given).map(([name, values]) => ({
      step: name,
      artifacts: sourceOf({ ...(values as object) }),
    }))
  const from = description.steps.find(({ name }) => name === step)?.from ?? []
  const gang = from.some((name) => description.steps.find((one) => one.name === name)?.gang)
  return given.map((values: object, index) => ({
    step: from.length > 1 ? (from[index] ?? 'input') : (from[0] ?? 'input'),
    ...(gang && { node: index, control: index === 0 }),
    artifacts: sourceOf({ ...values }),
  }))
}

function parametersOf({ parameters, steps }: FlowDescription, given: Record<string, unknown>): Record<string, unknown> {
  const optional = parameters.map((one) => ({ ...one, required: false }))
  const values = coerceParameters(optional, given, 'value')
  for (const [name, value] of Object.entries(values)) {
    if (!isFileValue(value)) continue
    const folder = value.base === 'flow' && steps[0] ? dirname(steps[0].location.file) : process.cwd()
    values[name] = readFileSync(resolve(folder, value.path))
  }
  return values
}

function stateOf(
  flowClass: FlowClass,
  description: FlowDescription,
  step: string,
  given: Partial<Omit<Current, 'parallel'>> & { readonly parallel?: Partial<Parallel> },
  temp: { directory?: string },
): CurrentState {
  const { parallel, ...rest } = given
  const loaded = stepsOf(flowClass).get(step)
  const described = description.steps.find(({ name }) => name === step)
  if (!loaded || !described)
    throw new GangflowError({
      code: 'E_STEP_UNKNOWN',
      what: `${flowClass.name} has no step '${step}'`,
      fix: `its steps are: ${description.steps.map(({ name }) => name).join(', ')}`,
    })
  const namespaces = Object.entries(rest).filter(([name]) => !reservedNamespaces.includes(name))
  const state: Omit<CurrentState, 'temp'> = {
    flow: flowClass.name,
    run: 'test',
    task: '1',
    attempt: 0,
    user: userInfo().username,
    tags: [],
    ...rest,
    step,
    namespaces: new Map(namespaces),
    plugins: pluginsOf(loaded).map(({ plugin }) => plugin.name),
    fixFor: (namespace) => `give runStep one for the test: current: { ${namespace}: … }`,
    ...((described.gang || parallel) && { parallel: soloParallel(step, rest.attempt ?? 0, parallel) }),
  }
  // A directory only where one is asked for.
  return Object.defineProperty(state, 'temp', {
    get() {
      if (rest.temp !== undefined) return rest.temp
      temp.directory ??= mkdtempSync(join(tmpdir(), 'gangflow-step-'))
      return temp.directory
    },
  }) as CurrentState
}

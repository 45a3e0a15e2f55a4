import { GangflowError } from '../errors/base.js'
import type { ArtifactChange, ArtifactSource } from './invocation.js'
import { type ParameterSpec, parameterSpec } from './parameter.js'

/** A constructed flow with its artifacts and parameters in place. */
export interface RestoredFlow {
  readonly flow: Record<string, unknown>
  /** Names of the parameters, in order of declaration. */
  readonly parameters: readonly string[]
  /** Replaces what a name reads from, or takes it away. */
  carry(name: string, source: ArtifactSource): void
  drop(name: string): void
  /** True when the step has set the name itself. */
  isSet(name: string): boolean
  /** The artifacts now. */
  collect(): readonly ArtifactChange[]
}

interface Cell {
  readonly source: ArtifactSource
  state: 'carried' | 'read' | 'set'
  value: unknown
}

/**
 * Puts artifacts into a constructed flow, as lazy accessors: after construction, so that they survive both settings
 * of `useDefineForClassFields`. Each is read once; what is read counts as changed, since it may be mutated in place.
 */
export function restore(
  flow: Record<string, unknown>,
  step: string,
  artifacts: ArtifactSource,
  parameters: Readonly<Record<string, unknown>>,
): RestoredFlow {
  const fixed = new Set(placeParameters(flow, parameters))
  const made = new Map<string, unknown>()
  for (const name of Object.keys(flow)) {
    if (fixed.has(name)) continue
    const value = flow[name]
    // A declared field without a value is an own undefined under define semantics: no artifact.
    if (value === undefined) delete flow[name]
    else if (typeof value === 'function') made.set(name, value)
  }
  const cells = new Map<string, Cell>()

  const carry = (name: string, source: ArtifactSource) => {
    if (fixed.has(name)) return
    const cell: Cell = { source, state: 'carried', value: undefined }
    cells.set(name, cell)
    Object.defineProperty(flow, name, {
      enumerable: true,
      configurable: true,
      get() {
        if (cell.state === 'carried') {
          const steps = source.ambiguous(name)
          if (steps) throw ambiguous(step, name, steps)
          cell.value = source.read(name)
          cell.state = 'read'
        }
        return cell.value
      },
      set(value) {
        cell.value = value
        cell.state = 'set'
      },
    })
  }
  for (const name of artifacts.names()) carry(name, artifacts)

  return {
    flow,
    parameters: [...fixed],
    carry,
    drop(name) {
      cells.delete(name)
      delete flow[name]
    },
    isSet: (name) =>
      (cells.get(name)?.state === 'set' && Object.hasOwn(flow, name)) ||
      (!cells.has(name) && Object.hasOwn(flow, name)),
    collect: () =>
      Object.keys(flow).flatMap((name): ArtifactChange[] => {
        if (fixed.has(name)) return []
        const cell = isOurs(flow, name) ? cells.get(name) : undefined
        if (cell?.state === 'carried' && cell.source === artifacts)
          return artifacts.ambiguous(name) ? [] : [{ name, state: 'carried' }]
        const value = flow[name]
        return typeof value === 'function' && made.get(name) === value ? [] : [{ name, state: 'value', value }]
      }),
  }
}

function isOurs(flow: object, name: string): boolean {
  return Object.getOwnPropertyDescriptor(flow, name)?.get !== undefined
}

/** The names of the parameters, in order of declaration; each becomes readonly with the run's value. */
function placeParameters(flow: Record<string, unknown>, parameters: Readonly<Record<string, unknown>>): string[] {
  const seen = new Map<unknown, string>()
  for (const name of Object.keys(flow)) {
    const declared = Object.getOwnPropertyDescriptor(flow, name)?.value as unknown
    const spec = parameterSpec(declared)
    if (!spec) continue
    const first = seen.get(declared)
    if (first !== undefined) throw copied(first, name)
    seen.set(declared, name)
    let value: unknown
    let known = false
    Object.defineProperty(flow, name, {
      enumerable: true,
      configurable: false,
      get() {
        if (!known) {
          if (!(name in parameters) && (spec.required ?? spec.default === undefined)) throw unset(name)
          value = fieldValue(spec, parameters[name])
          known = true
        }
        return value
      },
      set() {
        throw new GangflowError({
          code: 'E_PARAMETER_READONLY',
          what: `the parameter '${name}' was set in a step`,
          fix: 'parameters are the same in all steps of a run: keep what you compute in another field',
        })
      },
    })
  }
  return [...seen.values()]
}

function fieldValue({ kind, encoding }: ParameterSpec, raw: unknown): unknown {
  if (kind === 'json') return deepFreeze(structuredClone(raw))
  return encoding === 'utf8' && raw instanceof Uint8Array ? new TextDecoder().decode(raw) : raw
}

function unset(name: string): GangflowError {
  return new GangflowError({
    code: 'E_PARAMETER_MISSING',
    what: `the parameter '${name}' was read and has no value`,
    fix: `give it: parameters: { ${name}: … }`,
  })
}

function copied(first: string, name: string): GangflowError {
  return new GangflowError({
    code: 'E_PARAMETER_EARLY',
    what: `the field '${name}' copies the parameter '${first}' while the flow's fields are made, before it has its value`,
    fix: `read this.${first} in a step`,
  })
}

/** The error of reading what a join's parents set differently. */
export function ambiguous(step: string, name: string, steps: readonly string[]): GangflowError {
  const from = [...new Set(steps)]
  return new GangflowError({
    code: 'E_ARTIFACT_AMBIGUOUS',
    what: `the artifact '${name}' is ambiguous in ${step}: ${from.length > 1 ? `${from.join(' and ')} left` : `the tasks of ${from[0]} left`} different values`,
    fix: `in the join, read it from inputs and set it: this.${name} = inputs[0].${name}`,
    step,
    details: { artifact: name, steps: from },
  })
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}

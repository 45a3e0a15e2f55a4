import { GangflowError } from '../errors/base.js'
import type { JoinInput } from './invocation.js'
import { ambiguous } from './restore.js'

const inputKey = Symbol('input')

/** The JoinInput behind an entry of `inputs`, or undefined for anything else. */
export function inputBehind(entry: unknown): JoinInput | undefined {
  return typeof entry === 'object' && entry !== null ? (entry as { [inputKey]?: JoinInput })[inputKey] : undefined
}

/** What a join's method receives: an array with one entry for each parent, and each by its step's name. */
export function makeInputs(
  step: string,
  inputs: readonly JoinInput[],
  parameters: readonly string[],
  flow: object,
): readonly object[] {
  const entries: object[] = inputs.map((input) => entry(step, input, parameters, flow))
  for (const name of new Set(inputs.map((input) => input.step))) {
    const same = entries.filter((_, index) => inputs[index]!.step === name)
    property(entries, name, () => {
      if (same.length === 1) return same[0]
      throw wrongInput(step, name, `there are ${same.length} of them`, `inputs[0] … inputs[${same.length - 1}]`)
    })
  }
  const control = entries.find((_, index) => inputs[index]!.control === true)
  if (control || !inputs.some((input) => input.step === 'control'))
    property(entries, 'control', () => {
      if (control) return control
      throw wrongInput(step, 'control', 'this join does not follow a gang', 'inputs[i], or inputs.<step>')
    })
  return Object.freeze(entries)
}

function property(target: object, name: string, get: () => unknown): void {
  Object.defineProperty(target, name, { enumerable: false, configurable: false, get })
}

function entry(step: string, input: JoinInput, parameters: readonly string[], flow: object): object {
  const target: object = Object.create(null, { [inputKey]: { value: input } })
  // Parameters are the same everywhere, so that each entry has the flow's own.
  for (const name of parameters) Object.defineProperty(target, name, Object.getOwnPropertyDescriptor(flow, name)!)
  const cache = new Map<string, unknown>()
  for (const name of input.artifacts.names()) {
    if (Object.hasOwn(target, name)) continue
    Object.defineProperty(target, name, {
      enumerable: true,
      get() {
        if (!cache.has(name)) {
          const steps = input.artifacts.ambiguous(name)
          if (steps) throw ambiguous(input.step, name, steps)
          cache.set(name, input.artifacts.read(name))
        }
        return cache.get(name)
      },
      set() {
        throw new GangflowError({
          code: 'E_INPUT_READONLY',
          what: `${step} set '${name}' on what ${input.step} left`,
          fix: `set it on the flow: this.${name} = …`,
          step,
        })
      },
    })
  }
  return Object.preventExtensions(target)
}

function wrongInput(step: string, name: string, problem: string, instead: string): GangflowError {
  return new GangflowError({
    code: 'E_INPUT_NAME',
    what: `${step} read inputs.${name}, and ${problem}`,
    fix: `use ${instead}`,
    step,
  })
}

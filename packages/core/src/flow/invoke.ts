import { withSelf } from '../current/self.js'
import { GangflowError } from '../errors/base.js'
import { taskKey } from './brand.js'
import { type Asked, badNext, readNext } from './choose.js'
import { compare, evaluate } from './evaluate.js'
import { makeInputs } from './inputs.js'
import type { InvokeStep, StepInvocation } from './invocation.js'
import { mergeArtifacts } from './merge.js'
import { type LoadedStep, stepsOf } from './metadata.js'
import { type RestoredFlow, restore } from './restore.js'
import type { TaskPort } from './task-port.js'

/** Constructs the flow, restores its artifacts, runs the step, and tells what it left; throws what the step threw. */
export const invokeStep: InvokeStep = async (invocation) => {
  const { flowClass, step, around = (run) => run() } = invocation
  const steps = stepsOf(flowClass)
  if (!steps.has(step)) throw noSuchStep(flowClass.name, step, [...steps.keys()])
  const flow = new (flowClass as new () => Record<string, unknown>)()
  const restored = restore(flow, step, invocation.artifacts, invocation.parameters)
  const port = openPort(invocation, restored, steps)
  Object.defineProperty(flow, taskKey, { value: port, configurable: true })

  const argument = invocation.inputs
    ? [makeInputs(step, invocation.inputs, restored.parameters, flow)]
    : invocation.item
      ? [invocation.item.value]
      : []
  let calls = 0
  await around(async () => {
    if (++calls > 1) throw wrapped(step, 'more than once')
    await withSelf(flow, () => (flow[step] as (...args: unknown[]) => unknown).apply(flow, argument))
  })
  if (calls === 0) throw wrapped(step, 'never')
  const asked = port.close()
  compare(step, asked, invocation.description?.transition)
  const transition = await evaluate(step, asked, flow)
  const artifacts = restored.collect()
  for (const { name } of artifacts) {
    if (steps.has(name))
      throw new GangflowError({
        code: 'E_ARTIFACT_NAME',
        what: `${step} set the artifact '${name}', which is the name of a step`,
        fix: 'give the artifact another name',
        step,
      })
  }
  return { transition, artifacts }
}

/** What the instance calls while its step runs; closed once the step has ended. */
function openPort(
  { step, inputs, artifacts }: StepInvocation,
  restored: RestoredFlow,
  steps: ReadonlyMap<string, LoadedStep>,
): TaskPort & { close(): Asked | undefined } {
  let asked: Asked | undefined
  let open = true
  const inTime = (what: string) => {
    if (open) return
    throw new GangflowError({
      code: 'E_OUTSIDE_TASK',
      what: `${what} was called after ${step} had ended`,
      fix: 'await whatever leads to it in the step, and make the step async',
      step,
    })
  }
  const nameOf = (value: unknown): string | undefined => {
    if (typeof value !== 'function') return undefined
    for (const name of steps.keys()) if (restored.flow[name] === value) return name
    return undefined
  }
  return {
    next(args) {
      inTime('this.next(…)')
      if (step === 'end') throw badNext(step, 'was called, and nothing follows the end', 'remove it')
      if (asked)
        throw new GangflowError({
          code: 'E_NEXT_TWICE',
          what: `${step} called this.next(…) twice`,
          fix: "a step leads on once; to choose, use a switch: this.next({ a: this.x, b: this.y }, { condition: 'mode' })",
          step,
        })
      asked = readNext(step, args, nameOf)
    },
    mergeArtifacts(given, options) {
      inTime('this.mergeArtifacts(…)')
      mergeArtifacts(step, restored, inputs, artifacts, given, options)
    },
    close() {
      open = false
      return asked
    },
  }
}

function noSuchStep(flow: string, step: string, steps: readonly string[]): GangflowError {
  return new GangflowError({
    code: 'E_STEP_UNKNOWN',
    what: `${flow} has no step '${step}'`,
    fix: `its steps are: ${steps.join(', ') || '(none: mark them with @step)'}`,
  })
}

function wrapped(step: string, times: string): GangflowError {
  return new GangflowError({
    code: 'E_PLUGIN_WRAP',
    what: `a plugin around ${step} called next() ${times}`,
    fix: "a plugin's wrap(gang, options, next) must call and await next() exactly once",
    step,
  })
}

import { describeFlow } from '../../src/flow/describe.js'
import type { Complaint, FlowDescription } from '../../src/flow/description.js'
import type { ArtifactSource, FlowClass, StepInvocation, StepResult } from '../../src/flow/invocation.js'
import { invokeStep } from '../../src/flow/invoke.js'

export interface CountingSource extends ArtifactSource {
  readonly reads: string[]
}

/** Artifacts from a record; notes what is read. */
export function source(
  values: Readonly<Record<string, unknown>> = {},
  ambiguous: Readonly<Record<string, readonly string[]>> = {},
): CountingSource {
  const reads: string[] = []
  return {
    reads,
    names: () => [...new Set([...Object.keys(values), ...Object.keys(ambiguous)])],
    read: (name) => {
      reads.push(name)
      return values[name]
    },
    ambiguous: (name) => ambiguous[name],
  }
}

export function invoke(
  flowClass: FlowClass,
  step: string,
  rest: Partial<Omit<StepInvocation, 'flowClass' | 'step'>> = {},
): Promise<StepResult> {
  return invokeStep({ flowClass, step, parameters: {}, artifacts: source(), ...rest })
}

/** The artifacts that a step left: values, or the word `carried`. */
export function left(result: StepResult): Record<string, unknown> {
  return Object.fromEntries(result.artifacts.map((one) => [one.name, one.state === 'carried' ? 'carried' : one.value]))
}

export const describeHere = (flowClass: FlowClass): FlowDescription => describeFlow(flowClass, { file: '/flow.ts' })

/** The complaints about a flow, as `CODE step`. */
export function complaintsOf(flowClass: FlowClass): string[] {
  return describeHere(flowClass).complaints.map(({ code, step }) => (step ? `${code} ${step}` : code))
}

export function complaint(flowClass: FlowClass, code: string): Complaint {
  const found = describeHere(flowClass).complaints.find((one) => one.code === code)
  if (!found) throw new Error(`no ${code} among: ${JSON.stringify(describeHere(flowClass).complaints, null, 1)}`)
  return found
}

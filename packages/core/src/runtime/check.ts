import { GangflowError } from '../errors/base.js'
import type { FlowDescription } from '../flow/description.js'
import type { GangBackend } from '../gang/contract.js'
import type { RunRequest } from './run.js'

/** Refuses, before anything is started, a flow with faults and options that name what it does not have. */
export function checkFlow(description: FlowDescription, { inspect }: Pick<RunRequest, 'inspect'>): void {
  const { complaints, name } = description
  if (complaints.length > 0) {
    const one = complaints.length === 1 ? complaints[0] : undefined
    throw new GangflowError({
      code: 'E_FLOW_INVALID',
      what: `flow '${name}' has ${complaints.length} ${one ? 'fault' : 'faults'}:\n${complaints.map(line).join('\n')}`,
      fix: one ? one.fix : 'correct what is listed',
      step: one?.step,
      location: one?.location,
      details: { complaints },
    })
  }
  if (inspect && !description.steps.some((step) => step.name === inspect.step))
    throw unknownStep(description, inspect.step)
}

/** Refuses, before a run exists, gangs of a literal size that the backend cannot give; throws what its `plan` throws. */
export function checkGangs(description: FlowDescription, backend: GangBackend): void {
  backend.check?.(description)
  for (const step of description.steps) {
    const size = literalSize(description, step.name)
    if (!step.gang || size === null) continue
    const address = { flow: description.name, run: 'check', step: step.name, task: '1', attempt: 0 }
    if (backend.jobs) continue
    backend.plan({ address, step, size, resources: step.resources })
  }
}

/** The literal `numParallel` of the transition that leads to a gang; null for a computed one. */
export function literalSize({ steps }: FlowDescription, gang: string): number | null {
  for (const { transition } of steps)
    if (transition.kind === 'gang' && transition.target === gang) return transition.size
  return null
}

function line({ code, what, fix, location }: FlowDescription['complaints'][number]): string {
  const place = location ? `${location.file}:${location.line}: ` : ''
  return `  ${place}${what} (${code})\n    fix: ${fix}`
}

export const unknownStep = (description: FlowDescription, name: string) =>
  new GangflowError({
    code: 'E_STEP_UNKNOWN',
    what: `flow '${description.name}' has no step '${name}'`,
    fix: `its steps are ${description.steps.map((step) => step.name).join(', ')}`,
  })

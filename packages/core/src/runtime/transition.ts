import type { StoredTransition } from '../datastore/records.js'
import type { ErrorFacts } from '../errors/base.js'
import type { StepDescription } from '../flow/description.js'

/** What is wrong with a transition chosen at run time, or undefined when it fits the step's described one. */
export function transitionProblem(step: StepDescription, chosen: StoredTransition): ErrorFacts | undefined {
  const described = step.transition
  if (chosen.kind === 'foreach' && described.kind === 'foreach' && chosen.target === described.target) {
    if (chosen.items.length > 0) return undefined
    return {
      code: 'E_FOREACH_EMPTY',
      what: `step '${step.name}' splits over '${described.artifact}', which is empty`,
      fix: `make sure that '${described.artifact}' has at least one item, or choose another way by a switch before the foreach`,
    }
  }
  if (chosen.kind === 'gang' && described.kind === 'gang' && chosen.target === described.target) {
    if (Number.isSafeInteger(chosen.size) && chosen.size >= 1) return undefined
    return {
      code: 'E_NUM_PARALLEL',
      what: `step '${step.name}' asks for ${chosen.size} members of '${chosen.target}'`,
      fix: 'numParallel must be a whole number of at least 1',
    }
  }
  if (chosen.kind === 'end' && described.kind === 'end') return undefined
  if (chosen.kind === 'next' && fits(described, chosen.targets)) return undefined
  return {
    code: 'E_RUN_GRAPH',
    what: `step '${step.name}' went another way (${chosen.kind}) than its source says (${described.kind})`,
    fix: "check the flow with 'gangflow check'",
  }
}

function fits(described: StepDescription['transition'], targets: readonly string[]): boolean {
  if (described.kind === 'linear') return targets.length === 1 && targets[0] === described.target
  if (described.kind === 'switch') return targets.length === 1 && Object.values(described.cases).includes(targets[0]!)
  if (described.kind !== 'branch') return false
  return targets.length === described.targets.length && described.targets.every((name) => targets.includes(name))
}

/**
 * Where a step goes on when `@catchError` made its failure into a result: its one static way. A foreach, a switch and
 * a gang of computed size need what the step would have computed: undefined, as with Metaflow's `@catch`.
 */
export function staticTransition(step: StepDescription): StoredTransition | undefined {
  const { transition } = step
  switch (transition.kind) {
    case 'end':
      return { kind: 'end' }
    case 'linear':
      return { kind: 'next', targets: [transition.target] }
    case 'branch':
      return { kind: 'next', targets: transition.targets }
    case 'gang':
      return transition.size === null ? undefined : { kind: 'gang', target: transition.target, size: transition.size }
    default:
      return undefined
  }
}

import { type ErrorFacts, GangflowError, messageOf } from '../errors/base.js'
import type { StepDescription } from '../flow/description.js'
import type { AttemptOutcome } from './attempt.js'
import { withVerdict } from './verdict.js'

/** What the run's end says of the step that failed it. */
export function runError(step: StepDescription, { verdict, error }: AttemptOutcome & { ok: false }): ErrorFacts {
  const { first } = verdict
  return {
    code: verdict.code ?? 'E_TASK_FAILED',
    what: verdict.summary,
    fix: verdict.fix,
    step: step.name,
    node: first?.node,
    rank: first?.rank,
    host: first?.host,
    location: error?.location,
    verdict,
  }
}

/** What is told of something that is no step's failure. */
export function faultFacts(error: unknown): ErrorFacts {
  if (GangflowError.is(error)) return withVerdict('infrastructure', error.toJSON())
  const fix = 'this is a fault of gangflow: please report it'
  const details = { stack: (error as Error | null)?.stack }
  return withVerdict('infrastructure', { code: 'E_RUN_FAULT', what: messageOf(error), fix, details })
}

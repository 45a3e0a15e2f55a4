import type { BodyOutcome } from '../body/contract.js'
import type { ErrorFacts } from '../errors/base.js'
import type { Verdict } from '../errors/verdict.js'

/** The account of an ordinary task's body that did not end well. */
export function bodyVerdict(outcome: BodyOutcome & { ok: false }): Verdict {
  return {
    version: 1,
    cause: outcome.cause,
    summary: outcome.summary,
    ...(outcome.fix === undefined ? {} : { fix: outcome.fix }),
    code: outcome.code,
    ...(outcome.cause === 'cancelled' ? {} : { first: outcome.casualty }),
    echoes: [],
    stopped: outcome.cause === 'cancelled' ? [outcome.casualty] : [],
    author: outcome.error ? 'body' : 'launcher',
  }
}

/** The account of something that the launcher itself found wrong, before or after the body. */
export function launcherVerdict(cause: Verdict['cause'], facts: ErrorFacts): Verdict {
  return {
    version: 1,
    cause,
    summary: facts.what,
    ...(facts.fix === undefined ? {} : { fix: facts.fix }),
    code: facts.code,
    echoes: [],
    stopped: [],
    author: 'launcher',
  }
}

/** The facts of what the launcher found, with the account that exit codes follow. */
export const withVerdict = (cause: Verdict['cause'], facts: ErrorFacts): ErrorFacts => ({
  ...facts,
  verdict: facts.verdict ?? launcherVerdict(cause, facts),
})

import type { BodyOutcome } from '../../body/contract.js'
import type { Casualty, Cause } from '../../errors/verdict.js'
import type { ProcessExit } from '../../process/contract.js'
import type { Failure } from '../protocol.js'
import { failureOfBody, failureOfKill, failureOfPlugin } from './failures.js'
import type { OwnerLink } from './owner-link.js'
import type { MemberState } from './state.js'

/** Kills by unknown hands this long before a body's failure count as its possible cause. */
const EVIDENCE_MS = 2_000

/** The processes of a member that unknown hands ended of late, oldest first. */
export function evidenceOf({ formed, parts }: MemberState): { casualty: Casualty; exit: ProcessExit }[] {
  const since = performance.now() - EVIDENCE_MS
  return [...(formed?.commands.killed(since) ?? []), ...(parts.shell?.killed(since) ?? [])].sort(
    (a, b) => a.exit.at - b.exit.at,
  )
}

/** What this member tells the owner of ends that nobody asked for. */
export class Reports {
  constructor(
    private readonly state: MemberState,
    private readonly owner: OwnerLink,
  ) {}

  fail(failure: Failure, ageMs: number): void {
    if (this.state.closing) return
    this.state.failure ??= failure
    this.owner.report({ kind: 'failed', ageMs, failure })
  }

  /** The body ended its task. */
  done({ completion }: Extract<BodyOutcome, { ok: true }>): void {
    const { artifacts, transition, ambiguous } = completion
    this.owner.report({
      kind: 'done',
      ageMs: 0,
      completion: { artifacts, transition, ...(ambiguous ? { ambiguous } : {}) },
    })
  }

  /** The body failed: told after what may have been the cause of it. */
  bodyFailed(outcome: Extract<BodyOutcome, { ok: false }>): void {
    const { place } = this.state
    for (const { casualty, exit } of evidenceOf(this.state))
      this.fail(failureOfKill(casualty, exit, place), performance.now() - exit.at)
    this.fail(failureOfBody(outcome, place), performance.now() - outcome.at)
  }

  /** A plugin names what failed: completed by what this agent saw of that process. */
  blame(casualty: Casualty, cause?: Cause): void {
    const { casualty: known, exit } = this.state.formed!.commands.complete(casualty)
    // What is stopped, or fails because of that, is no culprit; an exception of its own from before may be.
    const late = exit?.solicited === true || (exit?.at ?? performance.now()) >= this.state.stoppedAt
    if (late && !casualty.error) return
    const failure = failureOfPlugin(known, exit, this.state.place)
    this.fail(cause === undefined ? failure : { ...failure, cause }, exit ? performance.now() - exit.at : 0)
  }
}

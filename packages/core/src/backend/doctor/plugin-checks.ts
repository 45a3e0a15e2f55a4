import { GangflowError, messageOf } from '../../errors/base.js'
import { milliseconds } from '../../errors/duration.js'
import type { DoctorCheck, DoctorPlace } from '../../plugin/contract.js'
import type { Finding } from './finding.js'
import type { CommandEnd } from './run-command.js'

/** A plugin's check with the options of the step that it is for. */
export interface PlannedCheck {
  /** `torchrun: torch`. */
  readonly name: string
  readonly check: DoctorCheck
  /** What the decorator was given; `{}` where no flow says. */
  readonly options: unknown
}

/** What a check threw, as it is told. */
export function failed(error: unknown): Pick<Finding, 'status' | 'found' | 'fix'> {
  const fix = GangflowError.is(error) ? error.fix : undefined
  const found = GangflowError.is(error) ? error.what : messageOf(error)
  return { status: 'fail', found, ...(fix === undefined ? {} : { fix }) }
}

/** Performs one check where `run` runs it; rejects as `run` does. */
export async function performCheck(
  planned: PlannedCheck,
  place: Pick<DoctorPlace, 'python' | 'flowDir'>,
  run: (argv: readonly string[], timeoutMs: number) => Promise<CommandEnd>,
): Promise<Omit<Finding, 'host'>> {
  const { check, name, options } = planned
  const about = { options, ...place }
  const bad = (error: unknown) => ({ check: name, ...failed(error) })
  let argv: readonly string[]
  try {
    argv = check.command(about)
  } catch (error) {
    return bad(error)
  }
  const end = await run(argv, milliseconds(check.timeout ?? '60s'))
  try {
    return { check: name, status: 'ok', found: check.judge(end, about) }
  } catch (error) {
    return bad(error)
  }
}

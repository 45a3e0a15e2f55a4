import type { GangContext } from '@gangflow/core/plugin'
import { words } from './arguments.js'
import type { RankFamily } from './family.js'
import type { Arguments, TorchResult, TorchRunOptions, TorchrunOptions } from './options.js'
import { perform } from './perform.js'
import type { TorchPlan } from './plan.js'
import { outputDirectory, planOf, type Session } from './session.js'
import { checkOptions } from './settings.js'

export type { RankFamily } from './family.js'
export type { Arguments, TorchRankResult, TorchResult, TorchRunOptions, TorchrunOptions } from './options.js'
export type { PlannedProcess, TorchPlan } from './plan.js'

/** The ranks of another plugin, whose framework runs on torch.distributed. */
export interface Ranks {
  /**
   * As `current.torch.run`, on every member. `adapt` is called before the ranks start, again when they start anew with
   * another port, and gives what is started.
   */
  run(call: TorchRunOptions, adapt?: (plan: TorchPlan) => TorchPlan | Promise<TorchPlan>): Promise<TorchResult>
  /** What `run` would start on this member. */
  plan(call: TorchRunOptions): TorchPlan
  readonly outputDir: string
}

/** The words of a command line; throws `E_TORCH_OPTION` that names `option` of `call`. Pure. */
export const rankWords = (given: Arguments | undefined, option: string, call: string): string[] =>
  words(given, option, call)

/** Throws `E_TORCH_OPTION` unless these may stand in the decorator. Pure. */
export const checkRankOptions = (options: TorchrunOptions, family: RankFamily): void => checkOptions(options, family)

/** For one attempt on one member: launchers `direct` and `torchrun`. */
export function openRanks(gang: GangContext, options: TorchrunOptions, family: RankFamily): Ranks {
  const session: Session = { gang, options, family, calls: 0, open: 0, prefork: undefined }
  return {
    run: (call, adapt) => perform(session, call, adapt),
    plan: (call) => planOf(session, call),
    outputDir: outputDirectory(session),
  }
}

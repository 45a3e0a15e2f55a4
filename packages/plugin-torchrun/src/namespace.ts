import type { TorchResult, TorchRunOptions } from './options.js'
import { perform } from './perform.js'
import type { TorchPlan } from './plan.js'
import { outputDirectory, planOf, type Session } from './session.js'

/** `current.torch` of a step with `@torchrun`. */
export interface Torch {
  /**
   * Runs a script with `torch.distributed` on the whole gang. Call it on every member, with the same options: it runs
   * once, and all calls settle together with one result. When a rank fails the gang ends, and its verdict names the
   * first failing rank with its traceback.
   * @throws GangflowError `E_TORCH_…`, see docs/reference/errors.md
   */
  run(options: TorchRunOptions): Promise<TorchResult>
  /** What `run` would start on this member, without starting it. */
  plan(options: TorchRunOptions): TorchPlan
  /** On this member, `rank<N>` below it is what rank N of it saw as GANGFLOW_OUTPUT_DIR. */
  readonly outputDir: string
}

/** The namespace of one attempt on one member. */
export function makeTorch(session: Session): Torch {
  return {
    run: (call) => perform(session, call),
    plan: (call) => planOf(session, call),
    outputDir: outputDirectory(session),
  }
}

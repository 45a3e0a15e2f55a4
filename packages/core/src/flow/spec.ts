import { flowBrand } from './brand.js'
import { portOf } from './task-port.js'
import type { ElementOf, ForeachOptions, MergeOptions, StepFunction } from './types.js'

/**
 * The base of every flow: a class whose methods marked `@step` are its steps. It begins at `start` and ends at
 * `end`; every other step says what follows by exactly one literal `this.next(…)`.
 */
export abstract class FlowSpec {
  /** One task for each item of the artifact `foreach`; the target takes its item as argument. */
  protected next<K extends keyof this & string>(
    step: (item: ElementOf<this[K]>) => void | undefined | Promise<void>,
    options: ForeachOptions<K>,
  ): void
  /** A gang of `numParallel` members (a whole number >= 1) that run the step at once. */
  protected next(step: () => void | undefined | Promise<void>, options: { readonly numParallel: number }): void
  /** The one case that the artifact `condition` names; it may lead back to an earlier step. */
  protected next<
    C extends Readonly<Record<string, () => void | undefined | Promise<void>>>,
    K extends keyof this & string,
  >(cases: C, options: { readonly condition: K }): void
  /** The next step; or several, which run concurrently until a join. */
  protected next(...steps: readonly [StepFunction, ...StepFunction[]]): void
  protected next(...args: readonly unknown[]): void {
    portOf(this, 'this.next(…)').next(args)
  }

  /**
   * In a join: takes along what the inputs agree on. A name on which they differ, and that the join has not set
   * itself, is the error `E_MERGE_CONFLICT`, unless excluded. Passing some of the inputs takes theirs.
   */
  protected mergeArtifacts<A extends object>(inputs: readonly A[], options?: MergeOptions<keyof A & string>): void
  protected mergeArtifacts(inputs: unknown, options?: unknown): void {
    portOf(this, 'this.mergeArtifacts(…)').mergeArtifacts(inputs, options)
  }
}
Object.defineProperty(FlowSpec.prototype, flowBrand, { value: true })

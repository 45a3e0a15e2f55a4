import type { StepDescription } from './description.js'

/**
 * The seam between a loaded flow class and whoever executes one of its steps: the body process, and
 * `runStep` of the testing entry. `flow/invoke.ts` implements `InvokeStep`.
 */

/** Where a task's incoming artifacts come from; reads are lazy and synchronous. */
export interface ArtifactSource {
  /** Every name, those that are ambiguous too. */
  names(): readonly string[]
  /** The value; every call may decode anew, `flow/` caches it. */
  read(name: string): unknown
  /** For a name that several parents of a join set differently: the steps that did; reading it is a named error. */
  ambiguous(name: string): readonly string[] | undefined
}

/** One entry of a join's `inputs`. */
export interface JoinInput {
  /** The step that this input comes from. */
  readonly step: string
  /** For a gang's join: the member's node index. */
  readonly node?: number
  /** For a gang's join: whether it was the control. */
  readonly control?: boolean
  readonly artifacts: ArtifactSource
}

export interface StepInvocation {
  readonly flowClass: FlowClass
  readonly step: string
  /** The described step: what the step chooses is then compared with it. */
  readonly description?: StepDescription
  /** By field, each read at most once and only when the step does; a file's is its content as bytes. */
  readonly parameters: Readonly<Record<string, unknown>>
  readonly artifacts: ArtifactSource
  /** The foreach item, when the step is the target of a foreach. */
  readonly item?: { readonly value: unknown }
  /** Present for a join. */
  readonly inputs?: readonly JoinInput[]
  /** Around the step's own code: the plugins' `wrap` hooks, `current`, timeouts. */
  readonly around?: (step: () => Promise<void>) => Promise<void>
}

/** A flow's constructor, from whichever copy of core (branded by `Symbol.for`). */
export type FlowClass = abstract new () => object

/** What a step chose at run time, checked against its described transition. */
export type ChosenTransition =
  | { readonly kind: 'end' }
  | { readonly kind: 'next'; readonly targets: readonly string[] }
  /** `items` is the evaluated iterable. */
  | {
      readonly kind: 'foreach'
      readonly target: string
      readonly items: readonly unknown[]
      readonly artifact: string
      readonly reuse: boolean
    }
  | { readonly kind: 'gang'; readonly target: string; readonly size: number }

/** The artifacts after a step. */
export interface ArtifactChange {
  readonly name: string
  /** `carried`: never read nor set, the incoming reference still holds. `value`: read or set; store and compare by hash. */
  readonly state: 'carried' | 'value'
  readonly value?: unknown
}

export interface StepResult {
  readonly transition: ChosenTransition
  readonly artifacts: readonly ArtifactChange[]
}

/** Constructs the flow, restores its artifacts, runs the step; throws what the step threw. */
export type InvokeStep = (invocation: StepInvocation) => Promise<StepResult>

/** A step as a method: nothing, or a promise of nothing, comes back. */
// biome-ignore lint/suspicious/noExplicitAny: a step's argument is typed where it is declared
export type StepFunction = (...args: any[]) => void | undefined | Promise<void>

/** Names of the methods of a flow. */
export type StepNames<F> = { [K in keyof F]: F[K] extends StepFunction ? K : never }[keyof F] & string

/** The artifacts and parameters of a flow, as another task left them. */
export type Artifacts<F> = {
  // biome-ignore lint/suspicious/noExplicitAny: any method whatever is left out
  readonly [K in keyof F as F[K] extends (...args: any[]) => any ? never : K]: F[K]
}

/**
 * What a join receives: one entry for each branch, foreach item (in item order) or gang member (in node order).
 * `Inputs<Train, 'a' | 'b'>` names the steps that lead here, for `inputs.a.loss`. After a gang,
 * `inputs.control` is the entry of the member that launched.
 */
export type Inputs<F, S extends StepNames<F> | never = never> = ReadonlyArray<Artifacts<F>> & {
  readonly [K in S]: Artifacts<F>
} & { readonly control: Artifacts<F> }

/** What iterating over T gives. */
export type ElementOf<T> = T extends Iterable<infer E> | AsyncIterable<infer E> ? E : never

/** Options of a foreach; `K` names the artifact whose items are worked on. */
export type ForeachOptions<K> = {
  readonly foreach: K
  /** A body that ended cleanly takes the next item of this step: faster, but what it left in memory stays. Default false. */
  readonly reuse?: boolean
}

/** What `mergeArtifacts` takes along. */
export interface MergeOptions<Name extends string = string> {
  /** These alone; a name that no input has is an error. */
  readonly include?: readonly Name[]
  /** All but these. */
  readonly exclude?: readonly Name[]
}

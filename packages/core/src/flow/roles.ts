import type { Complaints } from './complain.js'
import type { GangOptions, StepDescription, Transition } from './description.js'

interface Role extends Pick<StepDescription, 'catchError' | 'plugins'> {
  readonly gang: GangOptions | undefined
  readonly transition: Transition
  /** The `numParallel` of each transition that leads here; null where computed. */
  readonly sizes: readonly (number | null)[]
  readonly reached: boolean
}

/** Complains about decorators that do not fit the step's place in the graph. */
export function checkDecorations(name: string, { gang, sizes, reached, ...role }: Role, complaints: Complaints): void {
  const plugin = role.plugins.find(({ needs }) => needs.gang !== false)?.name
  if (gang && sizes.length === 0 && reached)
    complaints.add(
      'E_GANG_SPLIT',
      name,
      `${name} is a gang step by @${plugin ?? 'parallel'}, and no transition gives it members`,
      `lead to it with this.next(this.${name}, { numParallel: 4 })`,
    )
  const smallest = Math.min(...sizes.filter((size) => size !== null))
  if (gang?.minNodes !== undefined && gang.minNodes > smallest)
    complaints.add(
      'E_GANG_MIN_NODES',
      name,
      `${name} needs at least ${gang.minNodes} nodes and is given ${smallest}`,
      'let minNodes be at most numParallel',
    )
  const { kind } = role.transition
  if (role.catchError && (kind === 'foreach' || kind === 'gang' || kind === 'switch'))
    complaints.add(
      'E_CATCH_SPLIT',
      name,
      `${name} has @catchError and leads on by a ${kind}, which nobody could choose when it fails`,
      `let a step without @catchError do the ${kind}: this.next(this.split), and there this.next(…)`,
    )
}

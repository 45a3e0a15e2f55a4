import type { StepDescription } from '../flow/description.js'

/** How a gang goes on after a loss. */
export interface Elastic {
  /** Members that an epoch needs at least. Default: all of them, so that each lost one must be replaced. */
  readonly minNodes: number
  /** How often it is formed again in one attempt. Default 3. */
  readonly maxRestarts: number
}

/** What a step says of it; undefined where the loss of any member ends the attempt. */
export function elasticOf({ gang }: Pick<StepDescription, 'gang'>, size: number): Elastic | undefined {
  if (gang?.minNodes === undefined && gang?.maxRestarts === undefined) return undefined
  return { minNodes: gang.minNodes ?? size, maxRestarts: gang.maxRestarts ?? 3 }
}

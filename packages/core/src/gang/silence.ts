/** What a member knows of another one of its gang that it exchanges signs of life with; times are `performance.now()`. */
export interface NeighbourSigns {
  readonly node: number
  /** Its last sign of life, or the opening of the epoch. */
  readonly heardAt: number
  /** When it had last heard the owner, by its own account. */
  readonly ownerAt: number
  /** Nobody listens at its address any more, or it says that it ends itself. */
  readonly gone: boolean
}

export interface Signs {
  readonly now: number
  readonly ownerAt: number
  readonly leaseMs: number
  /** Leases of silence that a neighbour is granted: one that shares this machine may want for a processor. */
  readonly patience: number
  readonly neighbours: readonly NeighbourSigns[]
}

/**
 * What the owner's silence means to a member. `paused`: all who can be heard do not hear it either: it is stopped
 * (Ctrl-Z, a closed lid), which is no death. `alone`: a neighbour hears the owner, so it is this member that is cut off.
 * `parted`: some of the gang have gone as well, or nobody is heard at all: there is no gang any more.
 */
export type Silence =
  | { readonly means: 'none' | 'paused' }
  | { readonly means: 'alone'; readonly heardBy: number }
  | { readonly means: 'parted'; readonly lost: readonly number[]; readonly heard: readonly number[] }

/** Pure. Without neighbours there is nobody to ask: the owner is taken for paused. */
export function readSilence(signs: Signs): Silence {
  const { now, ownerAt, leaseMs, patience } = signs
  const known = signs.neighbours
  const luckier = known.find((one) => one.ownerAt - ownerAt > leaseMs * 0.6)
  if (luckier) return { means: 'alone', heardBy: luckier.node }
  if (now - ownerAt <= leaseMs) return { means: 'none' }
  const lost = known.filter(({ heardAt, gone }) => gone || now - heardAt > leaseMs * patience)
  if (lost.length === 0) return { means: 'paused' }
  const nodes = (list: readonly NeighbourSigns[]) => list.map(({ node }) => node)
  return { means: 'parted', lost: nodes(lost), heard: nodes(known.filter((one) => !lost.includes(one))) }
}

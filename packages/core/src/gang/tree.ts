/** Children of a member in the tree over the indices of an epoch. */
export const FAN_OUT = 32
/** Members up to which each speaks to the control and the owner itself: a tree only adds steps there. */
const FLAT = 64

/** How wide the tree of a gang of this size is; undefined where it has none. */
export const fanOutOf = (size: number): number | undefined => (size > FLAT ? FAN_OUT : undefined)

export const parentOf = (node: number, fanOut: number): number => Math.floor((node - 1) / fanOut)

export function childrenOf(node: number, size: number, fanOut: number): number[] {
  const first = node * fanOut + 1
  return Array.from({ length: Math.max(0, Math.min(fanOut, size - first)) }, (_, index) => first + index)
}

/** Who says itself to the owner that it lives: the control and its children; all where there is no tree. */
export const speaksToOwner = (node: number, fanOut: number | undefined): boolean =>
  fanOut === undefined || node <= fanOut

/** How many members hang below a node, itself with them. */
export const weightOf = (node: number, size: number, fanOut: number): number =>
  childrenOf(node, size, fanOut).reduce((sum, child) => sum + weightOf(child, size, fanOut), 1)

/** Whom the owner tells itself: the control, its children, and the children of those who are lost. */
export function toldByOwner(
  size: number,
  fanOut: number | undefined,
  lost: Iterable<number> = [],
): (node: number) => boolean {
  if (fanOut === undefined) return () => true
  const told = new Set([0, ...[0, ...lost].flatMap((node) => childrenOf(node, size, fanOut))])
  return (node) => told.has(node)
}

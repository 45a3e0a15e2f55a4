import util from 'node:util'

/** tfjs-node calls this function, which Node 23 no longer has. */
export function prepareNode(): void {
  const own = util as { isNullOrUndefined?: (value: unknown) => boolean }
  own.isNullOrUndefined ??= (value) => value === null || value === undefined
}

/** Brands by `Symbol.for`, so that a flow made with another copy of this package is still known as one. */
export const flowBrand = Symbol.for('@gangflow/core.flow')

/** Under it a running flow's instance holds the task that executes it (`flow/task-port.ts`). */
export const taskKey = Symbol.for('@gangflow/core.task')

/** True for a class that extends `FlowSpec` of any copy of this package. */
export function isFlowClass(value: unknown): value is abstract new () => object {
  return typeof value === 'function' && (value.prototype as Record<symbol, unknown> | undefined)?.[flowBrand] === true
}

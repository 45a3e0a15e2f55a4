const key = Symbol.for('@gangflow/core.flow-self')

/**
 * The flow instance whose step runs here, if the arrow stands in one of its class' own methods: the runtime keeps a
 * function that gives it on the global object, so that this module needs nothing of the runtime.
 */
export function flowSelf(arrow: string): object | undefined {
  const self = (globalThis as { [key]?: () => object | undefined })[key]?.()
  for (let proto: unknown = self && Object.getPrototypeOf(self); proto && proto !== Object.prototype; ) {
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(proto)))
      if (typeof value === 'function' && Function.prototype.toString.call(value).includes(arrow)) return self
    proto = Object.getPrototypeOf(proto)
  }
  return undefined
}

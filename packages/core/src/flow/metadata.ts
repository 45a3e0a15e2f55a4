import { type Decoration, decorationsOf } from '../decorators/metadata.js'
import { flowBrand } from './brand.js'
import type { FlowClass } from './invocation.js'
import type { ArtifactCodec } from './values.js'

// biome-ignore lint/suspicious/noExplicitAny: a step's argument is its author's
type Method = (this: any, ...args: any[]) => unknown

/** A step of a loaded class. */
export interface LoadedStep {
  readonly name: string
  /** What `@step` saw: the source that the graph is read from. */
  readonly method: Method
  /** In the order of application: the lowest decorator first. */
  readonly decorations: readonly Decoration[]
  /** The class whose method it is. */
  readonly owner: object
}

export type PluginDecoration = Extract<Decoration, { kind: 'plugin' }>

/** The prototypes of a flow, most derived first, without those of core. */
export function prototypesOf(flowClass: FlowClass): object[] {
  const found: object[] = []
  let prototype = (flowClass as { prototype: object | null }).prototype
  while (prototype !== null && !Object.hasOwn(prototype, flowBrand) && prototype !== Object.prototype) {
    found.push(prototype)
    prototype = Object.getPrototypeOf(prototype) as object | null
  }
  return found
}

/** Every method name that any decorator marks, in order of declaration, the bases first; the most derived marks hold. */
export function decoratedMethods(
  flowClass: FlowClass,
): Map<string, { decorations: readonly Decoration[]; owner: object }> {
  const found = new Map<string, { decorations: readonly Decoration[]; owner: object }>()
  for (const prototype of prototypesOf(flowClass).reverse()) {
    for (const [name, decorations] of decorationsOf(prototype.constructor))
      found.set(name, { decorations, owner: prototype })
  }
  return found
}

/** The steps of a flow, in order of declaration, the bases' first. */
export function stepsOf(flowClass: FlowClass): Map<string, LoadedStep> {
  const steps = new Map<string, LoadedStep>()
  for (const [name, { decorations, owner }] of decoratedMethods(flowClass)) {
    const mark = decorations.find((one) => one.kind === 'step')
    if (mark) steps.set(name, { name, method: mark.method as Method, decorations, owner })
  }
  return steps
}

/** A step's plugins with their options, in the order in which they are written: the first one's `wrap` is the outermost. */
export function pluginsOf(step: LoadedStep): readonly PluginDecoration[] {
  return step.decorations.filter((one): one is PluginDecoration => one.kind === 'plugin').reverse()
}

/** The codecs of every plugin in the flow: a join without the decorator reads the artifact too. */
export function codecsOf(flowClass: FlowClass): readonly ArtifactCodec[] {
  const plugins = [...stepsOf(flowClass).values()].flatMap((step) => pluginsOf(step).map(({ plugin }) => plugin))
  return [...new Set(plugins.flatMap((plugin) => plugin.codecs ?? []))]
}

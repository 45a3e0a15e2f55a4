import { defineNamespace, reservedNamespaces } from '../current/current.js'
import { checkOptions } from '../decorators/options.js'
import { type StepDecorator, stepDecorator } from '../decorators/protocol.js'
import { GangflowError } from '../errors/base.js'
import type { StepPlugin } from './contract.js'

/** A plugin's decorator: called with its options it gives the decorator for a step. */
export type StepDecoratorFactory<O, N extends string = string> = (object extends O
  ? (options?: O) => StepDecorator
  : (options: O) => StepDecorator) & { readonly plugin: StepPlugin<O, N> }

/**
 * Makes a plugin's step decorator. The decorator is the registration: it stores plugin and options on the step.
 * List the plugin's valid options in `options`, so that a misspelt one is refused.
 */
export function defineStepDecorator<O extends object = object, N extends string = string>(
  plugin: StepPlugin<O, N>,
): StepDecoratorFactory<O, N> {
  const { name, namespace } = plugin
  if ((plugin.apiVersion as number) !== 1)
    throw new GangflowError({
      code: 'E_PLUGIN_API',
      what: `plugin '${name}' is made for version ${plugin.apiVersion} of the plugin contract; this core has version 1`,
      fix: `install a version of '${name}' that fits this @gangflow/core`,
    })
  if (namespace !== undefined) {
    if (reservedNamespaces.includes(namespace) || namespace === '')
      throw new GangflowError({
        code: 'E_PLUGIN_NAMESPACE',
        what: `plugin '${name}' wants the namespace 'current.${namespace}', which is core's own`,
        fix: 'choose another namespace',
      })
    defineNamespace(namespace, name)
  }
  const factory = (...given: readonly unknown[]): StepDecorator => {
    const options = checkOptions<O>(`@${name}`, given, plugin.options)
    return stepDecorator(`@${name}`, () => ({ kind: 'plugin', plugin: plugin as unknown as StepPlugin, options }))
  }
  return Object.assign(factory, { plugin }) as unknown as StepDecoratorFactory<O, N>
}

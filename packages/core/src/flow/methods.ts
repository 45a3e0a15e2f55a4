import { decorationsOf } from '../decorators/metadata.js'
import type { Complaints } from './complain.js'
import type { FlowClass } from './invocation.js'
import type { Locator } from './locate.js'
import { decoratedMethods, type LoadedStep, prototypesOf } from './metadata.js'
import { parseMethod } from './parse.js'
import type { Helper } from './read-step.js'

/** Names that records, logs and `inputs` can carry. */
const validName = /^[A-Za-z][A-Za-z0-9_]*$/
const reserved = new Set(['constructor', 'next', 'mergeArtifacts', 'length', 'toString', 'toJSON', 'then'])

/** Checks names, overrides and marks of a flow's methods; gives those that are no steps, and every method's name. */
export function checkMethods(
  flowClass: FlowClass,
  steps: ReadonlyMap<string, LoadedStep>,
  locator: Locator,
  complaints: Complaints,
): { helpers: Map<string, Helper>; names: Set<string> } {
  const prototypes = prototypesOf(flowClass)
  if (!validName.test(flowClass.name) || flowClass.name === 'default')
    complaints.add(
      'E_FLOW_NAME',
      undefined,
      flowClass.name === '' || flowClass.name === 'default'
        ? 'the flow has no name'
        : `the flow's name '${flowClass.name}' has other signs than letters, digits and _`,
      'name the class: export default class Train extends FlowSpec',
    )
  if (steps.size === 0)
    complaints.add(
      'E_STEP_MISSING',
      undefined,
      `${flowClass.name} has no steps`,
      'mark its methods with @step',
      locator.locate(flowClass),
    )
  for (const name of steps.keys()) {
    if (!validName.test(name))
      complaints.add(
        'E_STEP_NAME',
        name,
        `the step's name '${name}' has other signs than letters, digits and _`,
        'rename it',
      )
    else if (reserved.has(name))
      complaints.add('E_STEP_NAME', name, `'${name}' cannot be the name of a step`, 'rename it')
  }
  for (const [name, { decorations, owner }] of decoratedMethods(flowClass)) {
    if (steps.has(name)) continue
    const others = decorations.map((one) => `@${one.kind === 'plugin' ? one.plugin.name : one.kind}`)
    complaints.add(
      'E_STEP_UNMARKED',
      name,
      `${name} has ${others.join(', ')} and no @step`,
      `write @step directly above ${name}`,
      locator.locate(methodOf(owner, name)!),
    )
  }
  const helpers = new Map<string, Helper>()
  const names = new Set<string>()
  for (const prototype of prototypes) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const method = methodOf(prototype, name)
      if (!method || name === 'constructor' || names.has(name)) continue
      names.add(name)
      const step = steps.get(name)
      if (
        step &&
        step.owner !== prototype &&
        !decorationsOf((prototype as { constructor: object }).constructor).has(name)
      ) {
        complaints.add(
          'E_STEP_OVERRIDE',
          name,
          `${flowClass.name} overrides the step ${name} without @step: the graph would be read from the base, and the override run`,
          `write @step above ${name} there too`,
          locator.locate(method),
        )
        continue
      }
      const parsed = step ? undefined : parseMethod(String(method), name)
      if (parsed) helpers.set(name, { name, parsed, locate: (offset) => locator.locate(method, offset) })
    }
  }
  return { helpers, names }
}

function methodOf(prototype: object, name: string): ((...args: unknown[]) => unknown) | undefined {
  const value: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value
  return typeof value === 'function' ? (value as (...args: unknown[]) => unknown) : undefined
}

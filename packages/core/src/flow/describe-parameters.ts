import { GangflowError } from '../errors/base.js'
import type { Complaints } from './complain.js'
import type { ParameterDescription } from './description.js'
import type { FlowClass } from './invocation.js'
import { type ParameterSpec, parameterSpec } from './parameter.js'

/** The parameters of a flow, found by constructing it once. */
export function describeParameters(flowClass: FlowClass, complaints: Complaints): ParameterDescription[] {
  let flow: Record<string, unknown>
  try {
    flow = new (flowClass as new () => Record<string, unknown>)()
  } catch (error) {
    if (!GangflowError.is(error)) throw error
    complaints.add(error.code, undefined, error.what, error.fix ?? 'change the field')
    return []
  }
  const found: ParameterDescription[] = []
  const declared = new Map<unknown, string>()
  for (const name of Object.keys(flow)) {
    const value = Object.getOwnPropertyDescriptor(flow, name)?.value as unknown
    const spec = parameterSpec(value)
    if (!spec) continue
    const first = declared.get(value)
    declared.set(value, first ?? name)
    if (first !== undefined)
      complaints.add(
        'E_PARAMETER_EARLY',
        undefined,
        `the field '${name}' copies the parameter '${first}' before it has its value`,
        `read this.${first} in a step`,
      )
    else found.push(describe(name, spec))
  }
  const flags = new Map<string, string>()
  for (const { name } of found) {
    const other = flags.get(flagOf(name))
    if (other !== undefined)
      complaints.add(
        'E_PARAMETER_DECLARATION',
        undefined,
        `the parameters '${other}' and '${name}' are both the flag --${flagOf(name)}`,
        'rename one',
      )
    flags.set(flagOf(name), name)
  }
  return found
}

function describe(name: string, spec: ParameterSpec): ParameterDescription {
  const { kind, help, choices, encoding } = spec
  return {
    name,
    kind,
    ...(help !== undefined && { help }),
    required: spec.required ?? spec.default === undefined,
    ...(spec.default !== undefined && { default: spec.default }),
    ...(choices && { choices }),
    ...(encoding && { encoding }),
  }
}

/** The flag of a parameter on the command line, without its dashes: `batchSize` is `batch-size`. */
export function flagOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1-$2')
    .replace(/_/g, '-')
    .toLowerCase()
}

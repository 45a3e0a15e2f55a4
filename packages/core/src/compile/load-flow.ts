import { pathToFileURL } from 'node:url'
import { GangflowError, messageOf } from '../errors/base.js'
import { isFlowClass } from '../flow/brand.js'
import type { FlowClass } from '../flow/invocation.js'
import { loadScript } from './load-script.js'
import { installSourceMaps } from './source-maps.js'
import { frameLocation } from './stack-location.js'

/**
 * Loads a bundle in this process and finds its flow. `file` is the person's source, for the words of errors.
 * With the flow's core at hand it is run as a script where it can be. What the file throws while it loads is `E_FLOW_LOAD` with its place; a GangflowError passes as it is.
 */
export async function loadFlow(bundle: string, file: string, core?: Record<string, unknown>): Promise<FlowClass> {
  installSourceMaps(bundle)
  let exports: Record<string, unknown>
  try {
    exports =
      (core && loadScript(bundle, core)) ?? ((await import(pathToFileURL(bundle).href)) as Record<string, unknown>)
  } catch (thrown) {
    throw loadError(thrown, file)
  }
  return flowOf(exports, file)
}

/** The flow among a module's exports: the default one, else the only one. */
export function flowOf(exports: Readonly<Record<string, unknown>>, file: string): FlowClass {
  const named = { ...exports, ...commonJsExports(exports['default']) }
  if (isFlowClass(named['default'])) return named['default']
  if (isFlowClass(exports['default'])) return exports['default']
  const flows = new Map<unknown, string>()
  for (const [name, value] of Object.entries(named)) if (isFlowClass(value) && !flows.has(value)) flows.set(value, name)
  const [only, second] = flows.keys()
  if (only !== undefined && second === undefined) return only as FlowClass
  if (second !== undefined) {
    const names = [...flows.values()].join(', ')
    throw new GangflowError({
      code: 'E_SEVERAL_FLOWS',
      what: `${file} exports several flows (${names}) and none of them as its default`,
      fix: 'write export default before the class that is to run, or give each flow a file of its own',
      details: { file, flows: [...flows.values()] },
    })
  }
  const given = Object.keys(named)
  throw new GangflowError({
    code: 'E_NO_FLOW',
    what: `${file} exports no flow (${given.length === 0 ? 'it exports nothing' : `its exports: ${given.join(', ')}`})`,
    fix: 'write: export default class MyFlow extends FlowSpec { … }',
    details: { file, exports: given },
  })
}

/** What a file threw while it was loaded, with its place in the person's source. */
export function loadError(thrown: unknown, file: string): GangflowError {
  if (GangflowError.is(thrown)) return thrown
  const location = frameLocation(thrown)
  const at = location === undefined ? '' : ` at ${location.file}:${location.line}`
  return new GangflowError(
    {
      code: 'E_FLOW_LOAD',
      what: `${file} cannot be loaded: ${nameOf(thrown)}${messageOf(thrown)}${at}`,
      fix: fixOf(thrown),
      ...(location && { location }),
      details: { file, stack: thrown instanceof Error ? String(thrown.stack) : undefined },
    },
    { cause: thrown },
  )
}

function nameOf(thrown: unknown): string {
  return thrown instanceof Error && thrown.name !== 'Error' ? `${thrown.name}: ` : ''
}

function fixOf(thrown: unknown): string {
  const message = messageOf(thrown)
  if (/does not provide an export named|Named export '.*' not found/.test(message)) {
    return "the package is CommonJS or has no such export: import its default (import pkg from '…') and take the name from it"
  }
  if ((thrown as NodeJS.ErrnoException | null)?.code === 'ERR_REQUIRE_ASYNC_MODULE') {
    return 'write "type": "module" into the package.json beside the flow: the package waits at its top level, which require cannot'
  }
  const missing = /^Cannot find (?:package|module) '((?:@[^/']+\/)?[^/'.@][^/']*)/.exec(message)?.[1]
  if (missing !== undefined) {
    return `let what imports it name it in its dependencies, and install it; for hosts that are sent the code, package.include: ['node_modules/${missing}'] in gangflow.config.ts sends it too`
  }
  return 'correct what runs while the file is loaded (outside of any step)'
}

/** `module.exports = { default: … }` and `exports.name = …`: an ESM bundle gives them as its default. */
function commonJsExports(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

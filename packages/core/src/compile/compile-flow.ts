import type { Datastore } from '../datastore/contract.js'
import { bundleFlow } from './bundle-flow.js'
import type { CompiledFlow, CompileRequest } from './contract.js'
import { DescribeProcess } from './describe-process.js'
import { descriptionKey, keepDescription, readDescription } from './description-cache.js'
import { hintOf } from './description-hint.js'
import { coreEntry, findCore } from './find-core.js'
import { keptBundleOf } from './kept-bundle.js'
import { locateFlow } from './locate-flow.js'
import { requireOneCore } from './one-core.js'
import { storeBundle, storeScript } from './store-bundle.js'

/**
 * Compiles a flow and describes it, once for a run. Nothing of the flow is loaded into this process. Throws
 * E_FLOW_FILE, E_CORE_MISSING, E_COMPILE, E_IMPORT, E_TWO_CORES, E_FLOW_LOAD, E_NO_FLOW and their like; what is
 * wrong with the graph is in `description.complaints`.
 */
export async function compileFlow(request: CompileRequest, datastore: Datastore): Promise<CompiledFlow> {
  const { execArgv = [], signal, describeTimeout: timeout } = request
  signal?.throwIfAborted()
  const file = await locateFlow(request.file)
  const core = findCore(file)
  const options = {
    entry: coreEntry(core, 'describe.js'),
    file,
    execArgv,
    ...(signal && { signal }),
    ...(timeout !== undefined && { timeout }),
  }
  const hint = hintOf(file, datastore)
  // Its start takes as long as the compiling; so it starts before it is sure that it is needed.
  const ahead = (await hint.isKept()) ? undefined : new DescribeProcess(options)
  try {
    const begun = Date.now()
    const last = keptBundleOf(file, execArgv, datastore)
    const unchanged = await last.read()
    const bundle = unchanged ?? (await bundleFlow(file, execArgv, signal))
    requireOneCore(file, core, bundle.pins)
    const stored = await storeBundle(bundle, datastore)
    // Beside the describing, which takes longer.
    const script = storeScript(bundle, stored, core)
    script.catch(() => {})
    if (!unchanged) await last.keep(bundle, begun)
    const key = await descriptionKey(stored.ref.hash, core, bundle.pins, execArgv)
    const uses = { pinned: [...new Set(bundle.pins.map((pin) => pin.path))], sources: bundle.sources }
    const compiled = { file, bundle: stored.path, ref: stored.ref, core: core.folder, uses }
    const kept = await readDescription(stored.folder, key)
    if (kept !== undefined) {
      await script
      return { ...compiled, description: kept }
    }
    const described = await (ahead ?? new DescribeProcess(options)).describe(stored.path, bundle.sources)
    await script
    await hint.setKept(await keepDescription(stored.folder, key, described))
    return { ...compiled, description: described.description }
  } finally {
    ahead?.end()
  }
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileFlow } from '../compile/compile-flow.js'
import { defaultDatastore, openDatastore } from '../datastore/open.js'
import type { FlowDescription } from '../flow/description.js'

/**
 * Compiles and describes a flow file without running it. Throws what `compileFlow` throws; the graph's complaints are in
 * the result. The bundle goes to the flow's datastore, or, where that cannot be written, to a place that is removed again.
 */
export async function describeFile(
  file: string,
  options: { readonly datastore?: string; readonly signal?: AbortSignal } = {},
): Promise<FlowDescription> {
  const request = { file, ...(options.signal && { signal: options.signal }) }
  const datastore = await openDatastore(options.datastore ?? defaultDatastore(file))
  try {
    return (await compileFlow(request, datastore)).description
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'E_DATASTORE_PERMISSION' || options.datastore !== undefined) throw error
    return await describeElsewhere(request)
  } finally {
    await datastore.close()
  }
}

async function describeElsewhere(request: { file: string }): Promise<FlowDescription> {
  const folder = await mkdtemp(join(tmpdir(), 'gangflow-describe-'))
  const datastore = await openDatastore(folder)
  try {
    return (await compileFlow(request, datastore)).description
  } finally {
    await datastore.close()
    await rm(folder, { recursive: true, force: true })
  }
}

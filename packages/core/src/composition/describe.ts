import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileFlow } from '../compile/compile-flow.js'
import type { CompiledFlow } from '../compile/contract.js'
import type { PackageSummary } from '../compile/package/summary.js'
import type { Datastore } from '../datastore/contract.js'
import { defaultDatastore, openDatastore } from '../datastore/open.js'
import type { FlowDescription } from '../flow/description.js'

interface DescribeOptions {
  readonly datastore?: string
  readonly signal?: AbortSignal
}

/**
 * Compiles and describes a flow file without running it. Throws what `compileFlow` throws; the graph's complaints are in
 * the result. The bundle goes to the flow's datastore, or, where that cannot be written, to a place that is removed again.
 */
export const describeFile = (file: string, options: DescribeOptions = {}): Promise<FlowDescription> =>
  withCompiled(file, options, async ({ description }) => description)

/** As `describeFile`, with what would travel to hosts that are sent the code. */
export const describePackage = (
  file: string,
  options: DescribeOptions = {},
): Promise<{ readonly flow: FlowDescription; readonly package: PackageSummary }> =>
  withCompiled(file, options, async (compiled, datastore) => {
    const { readSettings } = await import('./settings.js')
    const { foldersOf } = await import('../compile/package/project-parts.js')
    const { summarize } = await import('../compile/package/summary.js')
    const settings = await readSettings(file, {}, false)
    return {
      flow: compiled.description,
      package: await summarize(
        compiled,
        { ...settings.options.package, without: foldersOf(datastore) },
        options.signal,
      ),
    }
  })

async function withCompiled<T>(
  file: string,
  options: DescribeOptions,
  use: (compiled: CompiledFlow, datastore: Datastore) => Promise<T>,
): Promise<T> {
  const request = { file, ...(options.signal && { signal: options.signal }) }
  const datastore = await openDatastore(options.datastore ?? defaultDatastore(file))
  try {
    return await use(await compileFlow(request, datastore), datastore)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'E_DATASTORE_PERMISSION' || options.datastore !== undefined) throw error
    return await elsewhere(request, use)
  } finally {
    await datastore.close()
  }
}

async function elsewhere<T>(
  request: { file: string },
  use: (compiled: CompiledFlow, datastore: Datastore) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'gangflow-describe-'))
  const datastore = await openDatastore(folder)
  try {
    return await use(await compileFlow(request, datastore), datastore)
  } finally {
    await datastore.close()
    await rm(folder, { recursive: true, force: true })
  }
}

import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure, BuildOptions } from 'esbuild'
import { compileError } from './compile-errors.js'
import { resolutionConditions } from './conditions.js'
import { withEsbuild } from './esbuild-service.js'
import { type Pin, pinImports } from './pin-imports.js'
import { placeBanner, placeDefines } from './place-declarations.js'
import { sourcePlace } from './source-place.js'

/** A flow in one ESM file, before it is stored. */
export interface Bundle {
  readonly code: Uint8Array
  readonly map: Uint8Array
  readonly pins: readonly Pin[]
  /** The files of the project's own code that are in it. */
  readonly sources: readonly string[]
  /** Every file whose content is in it, data too. */
  readonly files: readonly string[]
  /** The text of those that were compiled, as it was read. */
  readonly texts: ReadonlyMap<string, string>
}

/** Name of the bundle; its map is beside it with `.map` added. */
export const bundleName = 'flow.mjs'

/** Compiles a flow file and the project's own source that it imports (DESIGN D8). */
export async function bundleFlow(flow: string, execArgv: readonly string[], signal?: AbortSignal): Promise<Bundle> {
  const pins: Pin[] = []
  const originals = new Map<string, string>()
  const options = {
    ...fixedOptions,
    entryPoints: [flow],
    absWorkingDir: dirname(flow),
    outfile: `/${bundleName}`,
    conditions: resolutionConditions(execArgv),
    define: placeDefines,
    banner: { js: placeBanner(flow) },
    plugins: [pinImports(pins), sourcePlace(originals)],
  } satisfies BuildOptions
  const result = await withEsbuild(async ({ context }) => {
    signal?.throwIfAborted()
    const build = await context({ ...options, write: false, metafile: true })
    const cancel = () => void build.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      return await build.rebuild()
    } catch (failure) {
      signal?.throwIfAborted()
      if (!isBuildFailure(failure)) throw failure
      throw compileError(failure, flow, dirname(flow))
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  })
  const output = (end: string) => result.outputFiles.find((file) => file.path.endsWith(end))!
  return {
    code: output(bundleName).contents,
    map: settleMap(output('.map').text, originals),
    pins,
    sources: [...originals.keys()].sort(),
    files: Object.keys(result.metafile.inputs)
      .filter((path) => !path.startsWith('gangflow-'))
      .map((path) => resolve(dirname(flow), path))
      .sort(),
    texts: originals,
  }
}

const fixedOptions = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  mainFields: ['main'],
  keepNames: true,
  sourcemap: true,
  charset: 'utf8',
  // Node runs every imported file whatever its package says of side effects; so do we.
  ignoreAnnotations: true,
  logLevel: 'silent',
} satisfies BuildOptions

/** Sources as absolute URLs with the text that the person wrote; files of ours have none. */
function settleMap(text: string, originals: ReadonlyMap<string, string>): Uint8Array {
  const map = JSON.parse(text) as { sources: string[]; sourcesContent: (string | null)[] }
  map.sources.forEach((source, index) => {
    // The outfile is in `/`, so that every source of a file is its path without the first slash.
    const path = `/${source}`
    const original = originals.get(path)
    map.sourcesContent[index] =
      original ?? (source.startsWith('gangflow-') ? null : (map.sourcesContent[index] ?? null))
    if (!/^gangflow-[a-z]+:/.test(source)) map.sources[index] = pathToFileURL(path).href
  })
  return Buffer.from(JSON.stringify(map))
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && Array.isArray((error as Partial<BuildFailure>).errors)
}

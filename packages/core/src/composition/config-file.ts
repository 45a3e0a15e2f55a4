import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { GangflowError, messageOf } from '../errors/base.js'

const names = [
  'gangflow.config.ts',
  'gangflow.config.mts',
  'gangflow.config.js',
  'gangflow.config.mjs',
  'gangflow.config.json',
]

/** The config file for a flow: the nearest at or above its folder, as tools of this kind look for theirs. */
export function findConfig(flowFile: string): string | undefined {
  for (let folder = dirname(flowFile); ; folder = dirname(folder)) {
    const found = names.map((name) => join(folder, name)).find((path) => existsSync(path))
    if (found || folder === dirname(folder)) return found
  }
}

/** What a config file says, not yet checked. Throws `E_CONFIG` with the file. */
export async function loadConfig(path: string): Promise<unknown> {
  try {
    if (path.endsWith('.json')) return JSON.parse(await readFile(path, 'utf8'))
    if (/\.m?ts$/.test(path)) return await importTypeScript(path)
    return ((await import(pathToFileURL(path).href)) as { default?: unknown }).default
  } catch (error) {
    throw new GangflowError(
      { code: 'E_CONFIG', what: `${path} cannot be read: ${messageOf(error)}`, fix: 'correct the file' },
      { cause: error },
    )
  }
}

/** Bundled beside itself for the moment of the import, so that its own imports resolve from its folder. */
async function importTypeScript(path: string): Promise<unknown> {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    write: false,
    logLevel: 'silent',
  })
  const built = `${path}.${process.pid}-${Date.now()}.mjs`
  await writeFile(built, outputFiles[0]!.contents)
  try {
    return ((await import(pathToFileURL(built).href)) as { default?: unknown }).default
  } finally {
    await rm(built, { force: true })
  }
}

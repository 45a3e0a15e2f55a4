import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Some of core's build. */
export interface CoreFiles {
  /** In core's folder, its package.json included. */
  readonly files: readonly string[]
  /** Of core's dependencies those that these files name. */
  readonly packages: readonly string[]
}

/** A file of core's build that another names, by an import or a require. */
const named = /['"]\.\/([\w.-]+\.c?js)['"]/g
/** One that is loaded from its compiled form (body/load-shared.ts). */
const loaded = /\bloadCompiled\d*\(__dirname, ['"]([\w-]+)['"]/g
/** Starts runs, with all that belongs to it: what a host never does. */
const launcher = 'launcher.js'

/** What these built files (`body.cjs`) are, with what they load in turn. */
export async function coreFiles(core: string, entries: readonly string[]): Promise<CoreFiles> {
  const { dependencies = {} } = JSON.parse(await readFile(join(core, 'package.json'), 'utf8')) as {
    dependencies?: Readonly<Record<string, string>>
  }
  const found = new Set(entries)
  const packages = new Set<string>()
  for (const name of found) {
    const text = await readFile(join(core, 'dist', name), 'utf8')
    for (const [, other] of text.matchAll(named)) if (other !== launcher) found.add(other!)
    for (const [, other] of text.matchAll(loaded)) found.add(`${other}.cjs`)
    for (const one of Object.keys(dependencies)) if (names(text, one)) packages.add(one)
  }
  return { files: ['package.json', ...[...found].sort().map((name) => `dist/${name}`)], packages: [...packages] }
}

const names = (text: string, dependency: string): boolean =>
  new RegExp(`(?:from|import|require)\\s*\\(?\\s*['"]${dependency}(?:/[^'"]*)?['"]`).test(text)

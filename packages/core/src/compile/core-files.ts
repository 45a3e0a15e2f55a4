import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A file of core's build that another names, by an import or a require. */
const named = /['"]\.\/([\w.-]+\.c?js)['"]/g
/** One that is loaded from its compiled form (body/load-shared.ts). */
const loaded = /\bloadCompiled\d*\(__dirname, ['"]([\w-]+)['"]/g
/** Starts runs, with all that belongs to it: what a host never does. */
const launcher = 'launcher.js'

/** What is in core's folder of these built files (`body.cjs`) and of what they load in turn, with its package.json. */
export async function coreFiles(core: string, entries: readonly string[]): Promise<string[]> {
  const found = new Set(entries)
  for (const name of found) {
    const text = await readFile(join(core, 'dist', name), 'utf8')
    for (const [, other] of text.matchAll(named)) if (other !== launcher) found.add(other!)
    for (const [, other] of text.matchAll(loaded)) found.add(`${other}.cjs`)
  }
  return ['package.json', ...[...found].sort().map((name) => `dist/${name}`)]
}

import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const dist = new URL('../../dist/', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gangflow-loads-'))

/** Every file and built-in module that importing an entry loads, before anything of it runs. */
function loads(entry: string): { files: string[]; builtins: string[]; text: string } {
  const script = join(folder, `${entry}.mjs`)
  writeFileSync(
    script,
    `import { readFileSync } from 'node:fs'
const seen = new Set()
const builtins = new Set()
const visit = (path) => {
  if (seen.has(path)) return
  seen.add(path)
  for (const [, spec] of readFileSync(path, 'utf8').matchAll(/^(?:import|export)[^'"]*?(?:from )?["']([^"']+)["'];?$/gm)) {
    if (spec.startsWith('.')) visit(new URL(spec, 'file://' + path).pathname)
    else builtins.add(spec)
  }
}
visit(${JSON.stringify(dist)} + ${JSON.stringify(`${entry}.js`)})
console.log(JSON.stringify({ files: [...seen], builtins: [...builtins] }))`,
  )
  const { files, builtins } = JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8' })) as {
    files: string[]
    builtins: string[]
  }
  const text = execFileSync('cat', files, { encoding: 'utf8', maxBuffer: 64 << 20 })
  return { files, builtins, text }
}

/** Heavy packages, by a mark that esbuild leaves in what it bundles. */
const heavy = /\/\/ (?:\.\.\/)*node_modules\/(?:execa|yargs|tsyringe|reflect-metadata|ssh2|acorn|esbuild|log-update)\//

describe.each(['body', 'agent', 'describe', 'index', 'cli'])('what the entry %s loads at start', (entry) => {
  const { files, builtins, text } = loads(entry)

  it('is few files', () =>
    expect(files.map((file) => file.slice(dist.length)).length).toBeLessThanOrEqual(entry === 'cli' ? 1 : 8))

  it('is nothing heavy', () => {
    const own = entry === 'describe' ? ['acorn'] : ['@gangflow/keeper']
    expect(
      builtins.filter(
        (name) => !name.startsWith('node:') && !['fs', 'path', 'os', 'util', 'crypto', ...own].includes(name),
      ),
    ).toEqual([])
    if (entry !== 'describe') expect(heavy.exec(text)?.[0]).toBeUndefined()
  })
})

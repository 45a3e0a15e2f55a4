import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
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
  const text = readFileSync(path, 'utf8')
  const imports = text.matchAll(/^(?:import|export)[^'"]*?(?:from )?["']([^"']+)["'];?$/gm)
  const requires = text.matchAll(/(?:\\brequire|import\\.meta\\.url\\))\\(["']([^"']+)["']\\)/g)
  if (path.endsWith('body.cjs')) visit(new URL('shared.cjs', 'file://' + path).pathname)
  if (path.endsWith('agent.cjs')) visit(new URL('agent-main.cjs', 'file://' + path).pathname)
  for (const [, spec] of [...imports, ...requires]) {
    if (spec.startsWith('.')) visit(new URL(spec, 'file://' + path).pathname)
    else builtins.add(spec)
  }
}
visit(${JSON.stringify(dist)} + ${JSON.stringify(entry)})
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

describe.each(['body.cjs', 'agent.cjs', 'describe.js', 'index.js', 'cli.cjs', 'parallel.js'])(
  'what the entry %s loads at start',
  (entry) => {
    const { files, builtins, text } = loads(entry)

    it('is few files', () =>
      expect(files.map((file) => file.slice(dist.length)).length).toBeLessThanOrEqual(
        /cli|parallel/.test(entry) ? 1 : 8,
      ))

    it('is nothing heavy', () => {
      const own = entry === 'describe.js' ? ['acorn'] : ['@gangflow/keeper']
      expect(
        builtins.filter(
          (name) => !name.startsWith('node:') && !['fs', 'path', 'os', 'util', 'crypto', ...own].includes(name),
        ),
      ).toEqual([])
      if (entry !== 'describe.js') expect(heavy.exec(text)?.[0]).toBeUndefined()
    })
  },
)

it('a body loads neither cryptography nor asynchronous files before it needs them', () => {
  const script = `require(${JSON.stringify(`${dist}shared.cjs`)}); console.log(process.moduleLoadList.join())`
  const loaded = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }).trim().split(',')
  expect(loaded).toContain('NativeModule net')
  expect(loaded).not.toContain('NativeModule crypto')
  expect(loaded).not.toContain('NativeModule internal/fs/promises')
})

it('SSH is in one file, loaded when it is needed', () => {
  const holders = readdirSync(dist).filter(
    (name) =>
      /\.c?js$/.test(name) && /\/\/ (?:\.\.\/)*node_modules\/ssh2\//.test(readFileSync(join(dist, name), 'utf8')),
  )
  expect(holders).toEqual(['mesh.cjs'])
})

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { afterAll, expect, it } from 'vitest'

const home = mkdtempSync(join(tmpdir(), 'gangflow-kept-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

const kept = join(home, 'kept')
const program = join(home, 'program.cjs')
mkdirSync(kept)
writeFileSync(join(home, 'thing.cjs'), 'exports.usual = () => 1\nexports.gang = () => 2\n')
buildSync({
  stdin: {
    contents: `import { loadCompiled } from './load-shared.ts'
import { usePart } from './used-parts.ts'
const thing = loadCompiled(__dirname, 'thing', ${JSON.stringify(kept)})
thing.usual()
if (process.argv[2] === 'gang') { usePart('gang'); thing.gang() }`,
    resolveDir: new URL('../../src/body', import.meta.url).pathname,
    loader: 'ts',
  },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  outfile: program,
})

const run = (...words: string[]) => execFileSync(process.execPath, [program, ...words])
const names = () => readdirSync(kept).map((name) => name.replace(/^thing-v[\w.-]+?-\d+-\d+/, 'thing'))

it('keeps what was compiled, and more of it once a gang was formed', () => {
  run()
  expect(names()).toEqual(['thing.code'])
  run('gang')
  expect(names()).toEqual(['thing.code', 'thing.gang.code'])
  const paths = readdirSync(kept).map((name) => join(kept, name))
  for (const path of paths) utimesSync(path, 1e9, 1e9)
  run()
  run('gang')
  expect(paths.map((path) => statSync(path).mtimeMs)).toEqual([1e12, 1e12])
})

it('makes anew what does not fit', () => {
  const [whole] = readdirSync(kept).filter((name) => name.endsWith('.gang.code'))
  writeFileSync(join(kept, whole!), 'nothing that was compiled')
  run()
  expect(statSync(join(kept, whole!)).size).toBeGreaterThan(100)
})

import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const installed = join(root, 'node_modules')
const fixtures = new URL('./fixtures/', import.meta.url).pathname
const protocols = { standard: {}, legacy: { experimentalDecorators: true, useDefineForClassFields: false } }

let at: string
afterEach(() => rmSync(at, { recursive: true, force: true }))

/** A person's project: what is installed here, Vitest in copy, so that the Vite beside it is the one it takes. */
function project(vite: string, compilerOptions: object): void {
  at = mkdtempSync(join(tmpdir(), 'gangflow-vitest-'))
  const modules = join(at, 'node_modules')
  mkdirSync(join(modules, '@gangflow'), { recursive: true })
  for (const name of readdirSync(installed)) {
    if (name.startsWith('.') || name === '@gangflow' || name === 'vite') continue
    if (name === 'vitest' || name === '@vitest') cpSync(join(installed, name), join(modules, name), { recursive: true })
    else symlinkSync(join(installed, name), join(modules, name))
  }
  symlinkSync(join(installed, vite), join(modules, 'vite'))
  symlinkSync(join(root, 'packages/core'), join(modules, '@gangflow/core'))
  for (const file of ['flow.ts', 'plugin.ts']) cpSync(join(fixtures, file), join(at, file))
  writeFileSync(join(at, 'package.json'), '{"type":"module"}')
  writeFileSync(
    join(at, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { target: 'es2022', ...compilerOptions } }),
  )
  writeFileSync(
    join(at, 'vitest.config.ts'),
    `import gangflow from '@gangflow/core/vite'
import { defineConfig } from 'vitest/config'
export default defineConfig({ plugins: [gangflow()] })`,
  )
  writeFileSync(
    join(at, 'flow.test.ts'),
    `import { runStep } from '@gangflow/core/testing'
import { expect, test } from 'vitest'
import { version } from 'vite'
import Train from './flow.js'

test('fit, under vite ' + version, async () => {
  const { artifacts } = await runStep(Train, 'fit', { item: 'abc', artifacts: { items: ['stored'] } })
  expect(artifacts).toEqual({ items: ['stored'], loss: 1.5, best: 'fit 1' })
  const { transition } = await runStep(Train, 'start')
  expect(transition).toEqual({ kind: 'foreach', target: 'fit', artifact: 'items', reuse: false, items: ['a', 'bb'] })
})
`,
  )
}

describe('a person’s Vitest 4 with the plugin runs a step', () => {
  for (const vite of ['vite', 'vite-8'])
    for (const [protocol, options] of Object.entries(protocols))
      it(`on ${vite}, ${protocol}`, async () => {
        project(vite, options)
        const { version } = JSON.parse(readFileSync(join(installed, vite, 'package.json'), 'utf8'))
        const args = [join(at, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json']
        const env = { ...process.env, VITEST: undefined, NODE_ENV: undefined }
        const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: at, env })
        const report = JSON.parse(stdout.slice(stdout.indexOf('{')))
        expect(report.testResults[0].assertionResults).toMatchObject([
          { title: `fit, under vite ${version}`, status: 'passed' },
        ])
      })
})

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@gangflow/core'
import { type ParserConfig, transformSync } from '@swc/core'
import { describe, expect, it } from 'vitest'
import { artifact, collect, ofType, project, temporary } from '../runtime/support.js'

const fixtures = new URL('./fixtures/', import.meta.url).pathname

/** Compiles as projects do that have swc: decorators become calls of its helpers, private names and fields are lowered. */
function bySwc(folder: string, file: string, legacy: boolean): void {
  const parser: ParserConfig = { syntax: 'typescript', decorators: true }
  const { code } = transformSync(readFileSync(join(fixtures, `${file}.ts`), 'utf8'), {
    filename: `${file}.ts`,
    jsc: {
      parser,
      target: 'es2020',
      transform: legacy ? { legacyDecorator: true, useDefineForClassFields: false } : { decoratorVersion: '2022-03' },
    },
    module: { type: 'es6' },
    sourceMaps: 'inline',
    swcrc: false,
  })
  expect(code).not.toMatch(/^\s*@step/m)
  writeFileSync(join(folder, `${file}.js`), code)
}

const legacyOptions = { experimentalDecorators: true, useDefineForClassFields: false }

describe.each([
  ['TC39 decorators', {}, undefined],
  ['legacy decorators', legacyOptions, undefined],
  ['TC39 decorators as swc compiles them', {}, false],
  ['legacy decorators as swc compiles them', legacyOptions, true],
] as const)("maps in a flow's step, under %s", (_, compilerOptions, swc) => {
  it("use the flow's members, and what the project has beside it", async () => {
    const folder = project()
    for (const file of ['flow', 'project']) {
      if (swc === undefined) cpSync(join(fixtures, `${file}.ts`), join(folder, `${file}.ts`))
      else bySwc(folder, file, swc)
    }
    // What the fixture uses of acorn is not used here, but its import is bundled.
    cpSync(new URL('../../../node_modules/acorn', import.meta.url).pathname, join(folder, 'node_modules/acorn'), {
      recursive: true,
    })
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
    const datastore = temporary()
    const handle = run(join(folder, swc === undefined ? 'flow.ts' : 'flow.js'), { datastore })
    const events = await collect(handle)
    const result = await handle.result
    expect(result.error).toBeUndefined()
    const left = (name: string) =>
      artifact(datastore, { flow: 'Mapped', run: result.run, step: 'start', task: '1' }, name)
    expect(left('sum')).toBe(500)
    expect(left('results')).toEqual([
      [12, 14],
      [6, 9],
      ['a', 'c'],
      [3 + 1 + 5, 6 + 1 + 6],
    ])
    expect(left('refused')).toEqual([
      expect.stringMatching(/^E_MAP_READONLY .*`this`/),
      expect.stringMatching(/^E_MAP_READONLY .*`this\.words`/),
      expect.stringMatching(/^E_MAP_CAPTURE .*`this`/),
      expect.stringMatching(/^E_MAP_RESULT/),
    ])
    const told = ofType(events, 'progress').map(({ data }) => (data as { map: { label?: string } }).map)
    expect(told.filter(({ label }) => label === 'waits').at(-1)).toMatchObject({ done: 6, total: 6, ended: true })
    expect(left('stack')).toMatch(/ItemError: item 0 \(1\) failed: Error: no 2\n\s+at .*flow\.ts:\d+:\d+/)
  })
})

import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@gangflow/core'
import { describe, expect, it } from 'vitest'
import { artifact, collect, ofType, project, temporary } from '../runtime/support.js'

const fixtures = new URL('./fixtures/', import.meta.url).pathname

describe.each([
  ['TC39', {}],
  ['legacy', { experimentalDecorators: true, useDefineForClassFields: false }],
])("maps in a flow's step, under %s decorators", (_, compilerOptions) => {
  it("use the flow's members, and what the project has beside it", async () => {
    const folder = project()
    for (const file of ['flow.ts', 'project.ts']) cpSync(join(fixtures, file), join(folder, file))
    // What the fixture uses of acorn is not used here, but its import is bundled.
    cpSync(new URL('../../../node_modules/acorn', import.meta.url).pathname, join(folder, 'node_modules/acorn'), {
      recursive: true,
    })
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
    const datastore = temporary()
    const handle = run(join(folder, 'flow.ts'), { datastore })
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

import { Script } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { headMark, scriptOf } from '../../src/compile/script-form.js'

const core = 'file:///project/node_modules/@gangflow/core/dist/index.js'

describe('a bundle as a script', () => {
  it('takes its imports as arguments, gives its exports back, and keeps its lines', async () => {
    const code = `import { createRequire as make } from 'node:module'
import * as path from "node:path";
import fs, {
  existsSync
} from "node:fs";
var text = \`
import { no } from "nowhere";
\`;
function where() {
  return new Error("here").stack.split("\\n")[1];
}
// the file
import { FlowSpec } from "${core}";
var later = async () => { await 1; for await (const x of []) ; };
export {
  FlowSpec as default,
  where
};
export { text, make, path, fs, existsSync, later };
`
    const script = (await scriptOf(code, core))!
    const [body, head] = script.split(headMark)
    expect(JSON.parse(head!)).toEqual({
      noTls: false,
      modules: [
        { name: 'node:module', takes: ['createRequire'] },
        { name: 'node:path', takes: [] },
        { name: 'node:fs', takes: ['existsSync'] },
        { name: '@gangflow/core', takes: ['FlowSpec'] },
      ],
    })
    const run = new Script(body!, { filename: 'file:///x/flow.mjs' }).runInThisContext() as (...args: unknown[]) => {
      where(): string
    }
    const given = [{ createRequire: 1 }, { sep: '/' }, { existsSync: 2 }, { FlowSpec: 3 }]
    const exports = run(...given)
    expect(exports).toMatchObject({
      default: 3,
      text: '\nimport { no } from "nowhere";\n',
      make: 1,
      path: given[1],
      fs: given[2],
      existsSync: 2,
    })
    expect(exports.where()).toContain('flow.mjs:10:')
  })

  it.each([
    ['', true],
    ['import { join } from "node:path";import { spawn } from "child_process";', true],
    ['import { get } from "node:https";', false],
    ['import { Worker } from "node:worker_threads";', false],
    ['import { createRequire } from "node:module";', false],
    ['const answer = () => fetch("https://x");', false],
    ['const answer = () => require("https");', false],
    ['const answer = () => globalThis["fe" + "tch"]();', false],
    ['const answer = (() => {}).constructor("return 1");', false],
  ])('knows whether it could speak TLS: %s', async (code, expected) => {
    const front = `import { createRequire as __gf_createRequire } from 'node:module'
const require = __gf_createRequire("file:///project/flow.ts")
`
    const script = (await scriptOf(`${front}import { FlowSpec } from "${core}";\n${code}`, core))!
    expect(JSON.parse(script.split(headMark)[1]!)).toMatchObject({ noTls: expected })
  })

  it.each([
    ['a package', 'import x from "file:///project/node_modules/x/index.js";'],
    ['a wait at its top level', 'const x = await 1;'],
    ['a wait in a loop there', 'for await (const x of []) ;'],
    ['an import while it runs', 'const f = () => import("node:fs");'],
    ['its own place', 'console.log(import.meta.url);'],
    ['a default that is an expression', 'export default 1;'],
    ['the default of a namespace', 'import * as path from "node:path"; path.default.join();'],
    ['no JavaScript', 'const const'],
  ])('is none for one with %s', async (_, code) => {
    expect(await scriptOf(code, core)).toBeUndefined()
  })
})

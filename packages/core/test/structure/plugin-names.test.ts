import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const src = new URL('../../src', import.meta.url).pathname
const plugins = /[tT]orch|\b[mM][pP][iI]|[dD]eep[sS]peed|\b[rR]ay\b|\b[dD]ask\b|[tT]ensor[fF]low|tfjs/

function* lines(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* lines(path)
    else {
      // Comments may give examples; code may not know them.
      const code = readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, (comment) =>
        comment.replace(/[^\n]/g, ''),
      )
      for (const [index, line] of code.split('\n').entries())
        yield `${path.slice(src.length + 1)}:${index + 1}: ${line}`
    }
  }
}

it("core's code contains no plugin's name", () => {
  expect([...lines(src)].filter((line) => plugins.test(line.slice(line.indexOf(': '))))).toEqual([])
})

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codes } from '../src/errors/codes.js'

const page = readFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8')
const listed = new Set([...page.matchAll(/^\| `(E_[A-Z0-9_]+)`/gm)].map((match) => match[1]))

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* sources(path)
    else if (path.endsWith('.ts')) yield readFileSync(path, 'utf8')
  }
}

describe('docs/reference/errors.md', () => {
  it('lists every registered code of core', () => {
    expect(Object.keys(codes).filter((code) => !listed.has(code))).toEqual([])
  })

  it('every code that core gives is registered', () => {
    const given = new Set<string>()
    for (const text of sources(new URL('../src', import.meta.url).pathname)) {
      for (const [, code] of text.matchAll(/code: '(E_[A-Z0-9_]+)'/g)) given.add(code!)
    }
    expect([...given].filter((code) => !(code in codes))).toEqual([])
  })
})

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { codes } from '../src/codes.js'

const page = readFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8')
const section = page.split('\n## ').find((text) => text.startsWith('plugin-tfjs\n')) ?? ''
const listed = [...section.matchAll(/^\| `(E_[A-Z0-9_]+)`/gm)].map((match) => match[1])

describe('docs/reference/errors.md, plugin-tfjs', () => {
  it('lists what the plugin registers, and nothing else', () => {
    expect(listed.sort()).toEqual(Object.keys(codes).sort())
  })
})

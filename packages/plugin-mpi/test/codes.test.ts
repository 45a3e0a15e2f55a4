import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { codes } from '../src/codes.js'

const page = readFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8')
const section = page.split('\n## ').find((text) => text.startsWith('plugin-mpi\n')) ?? ''
const listed = [...section.matchAll(/^\| `(E_[A-Z0-9_]+)`/gm)].map((match) => match[1])

describe('docs/reference/errors.md, plugin-mpi', () => {
  it('lists what the plugin registers, and nothing else', () => {
    expect(listed.sort()).toEqual(Object.keys(codes).sort())
  })

  it('the plugin gives what it registers, and nothing else', () => {
    const folder = new URL('../src/', import.meta.url)
    const text = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), 'utf8'))
    const given = new Set(text.flatMap((source) => [...source.matchAll(/code: '(E_[A-Z0-9_]+)'/g)].map((m) => m[1])))
    expect([...given].sort()).toEqual(Object.keys(codes).sort())
  })
})

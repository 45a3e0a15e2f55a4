import { describe, expect, it } from 'vitest'
import { bytesFrom, sizeText } from '../../../src/compile/package/size-limit.js'
import { fill, pathLiterals, slotsOf } from '../../../src/compile/package/template.js'

const placeOf = (path: string) =>
  new Map([
    ['/home/me/it is "ours"/flow.ts', 'flow.ts'],
    ['/home/me/it is "ours"', ''],
    ['/home/me/node_modules/é/x.js', 'node_modules/é/x.js'],
  ]).get(path)

describe('a bundle', () => {
  it('has the paths of each host, and every line where it was', async () => {
    const code = `import x from "file:///home/me/node_modules/%C3%A9/x.js"
const meta = { url: "file:///home/me/it%20is%20%22ours%22/flow.ts", filename: '/home/me/it is "ours"/flow.ts', dirname: '/home/me/it is "ours"' }
const others = ["/home/me/other.ts", "/", "file:///home/me/it%20is%20%22ours%22/flow.ts?query", \`/home/me/it is "ours"/flow.ts\`]
await import("file:///home/me/node_modules/%C3%A9/x.js")
`
    const slots = slotsOf(await pathLiterals(code, 'module'), placeOf)
    expect(slots.map(([, , form, place]) => [form, place])).toEqual([
      ['url', 'node_modules/é/x.js'],
      ['url', 'flow.ts'],
      ['path', 'flow.ts'],
      ['path', ''],
      ['url', 'node_modules/é/x.js'],
    ])
    expect(fill(code, slots, '/cache/a b').split('\n')).toEqual([
      'import x from "file:///cache/a%20b/node_modules/%C3%A9/x.js"',
      'const meta = { url: "file:///cache/a%20b/flow.ts", filename: "/cache/a b/flow.ts", dirname: "/cache/a b" }',
      ...code.split('\n').slice(2, 3),
      'await import("file:///cache/a%20b/node_modules/%C3%A9/x.js")',
      '',
    ])
  })
})

describe('sizes', () => {
  it.each([
    ['2GB', 2e9],
    ['500 MiB', 500 * 1024 ** 2],
    ['1.5g', 1.5e9],
    [12, 12],
    ['0', 0],
  ])('%s is %d bytes', (text, bytes) => expect(bytesFrom(text)).toBe(bytes))

  it.each(['', 'much', '-1', '1PB', '1e9x'])('%s is none', (text) =>
    expect(() => bytesFrom(text)).toThrow(/is no size/),
  )

  it.each([
    [0, '0 bytes'],
    [999, '999 bytes'],
    [1500, '1.5 kB'],
    [12e6, '12 MB'],
    [3.2e9, '3.2 GB'],
  ])('%d bytes are shown as %s', (bytes, text) => expect(sizeText(bytes)).toBe(text))
})

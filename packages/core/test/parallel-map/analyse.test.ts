import * as acorn from 'acorn'
import { describe, expect, it } from 'vitest'
import { analyse } from '../../src/parallel-map/capture/analyse.js'

const read = (text: string) => analyse(text, acorn)
const free = (text: string): string[] => [...read(text).finding.free.keys()].sort()

describe('which names of a function come from outside of it', () => {
  it.each<[string, string[]]>([
    ['(x) => x + k', ['k']],
    ['({ a, b: { c = d } = e }, [f, ...g]) => a + c + f + g', ['d', 'e']],
    ['function f(n) { return n ? f(n - 1) : g(n) }', ['g']],
    ['function () { return arguments.length }', []],
    ['() => arguments.length', ['arguments']],
    ['() => { var a = 1; { let b = a; function c() { return b + d } c() } return a }', ['d']],
    ['() => { if (x) { var late = 1 } return late }', ['x']],
    ['() => { { let inner = 1 } return inner }', ['inner']],
    ['() => { for (const i of list) for (let j = 0; j < i; j++) use(i, j) }', ['list', 'use']],
    ['() => { try { a() } catch ({ message }) { b(message) } finally { c() } }', ['a', 'b', 'c']],
    ['(x) => { outer: for (;;) { break outer } switch (x) { case k: { let y = 1 } default: return y } }', ['k', 'y']],
    ['(o) => o.name + o[key] + { name: 1, [made]: short, short }.name', ['key', 'made', 'short']],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a function
    ['(x) => `a${b}` + tag`${c}` + /x/.test(x)', ['b', 'c', 'tag']],
    [
      '() => class A extends Base { static f = k; #p = q; m() { return this.#p + A.f + super.m() } }',
      ['Base', 'k', 'q'],
    ],
    ['class Own extends Parent { f = k }', ['k']],
    ['async *gen(x) { yield* other(x); await later }', ['later', 'other']],
    ['get size() { return count }', ['count']],
    ['async (x) => (await import(path)).default(x)', ['path']],
    ['() => a?.b?.(c) ?? (d, e)', ['a', 'c', 'd', 'e']],
    ['({ x: { y } }) => ({ a, b } = y)', ['a', 'b']],
  ])('%s', (text, names) => expect(free(text)).toEqual(names))

  it('tells members that are used from the whole', () => {
    const members = (text: string) => read(text).finding.free.get('m')?.members
    expect(members('() => m.a + m.b.c + m.a()')).toEqual(new Set(['a', 'b']))
    for (const text of ['() => m', '() => m[k]', '() => f(m)', '() => ({ m })', '() => typeof m', '() => [...m]'])
      expect(members(text)).toBeUndefined()
    const { self } = read('() => () => this.a + this.b()').finding
    expect(self?.members).toEqual(new Set(['a', 'b']))
    expect(read('() => function () { return this.a }').finding.self).toBeUndefined()
    expect(read('() => ({ m() { return this.a } })').finding.self).toBeUndefined()
    expect(read('m() { return (() => this.a)() }').finding.ownThis?.members).toEqual(new Set(['a']))
  })

  it('sees assignments and writes, and where to', () => {
    const use = (text: string) => read(text).finding.free.get('o')!
    for (const text of [
      '() => o = 1',
      '() => o++',
      '() => [o] = x',
      '() => ({ a: o = 2 } = x)',
      '() => { for (o of x); }',
    ])
      expect(use(text).assigned).toBeDefined()
    const writes = (text: string) => use(text).writes.map(({ path }) => path)
    expect(writes('(v) => o.push(v)')).toEqual([[]])
    expect(writes('(v) => o.a.b.push(v)')).toEqual([['a', 'b']])
    expect(writes('(v) => o[v].push(v)')).toEqual([undefined])
    expect(writes('(v) => { o[v] = 1; o.a.b = 2; delete o.c; o.n++; [o.x] = v }')).toEqual([[], ['a'], [], [], []])
    expect(writes('(v) => o.slice().push(v)')).toEqual([])
    expect(use('(v) => o.map((o) => o = v)').assigned).toBeUndefined()
  })

  it.each(['() => import.meta.url', 'm() { return super.m() }', '(o) => o.#p', '() => eval("1")'])(
    'refuses %s',
    (text) => expect(read(text).finding.refused).toBeDefined(),
  )

  it('makes an expression of a method, also of a computed name', () => {
    for (const text of ['m(x) { return x }', '[a](x) { return x }', '"b c"(x) { return x }', 'async m(x) { return x }'])
      expect(typeof new Function('a', `return ${read(text).source}`)('k')).toBe('function')
    expect(new Function(`return ${read('get [Symbol.iterator]() { return 4 }').source}`)()()).toBe(4)
    expect(new Function('$$parent', `return ${read('class A extends f(g) {}').source}`)(Map).name).toBe('A')
  })

  it('is strict where that is possible', () => {
    expect(read('() => 1').strict).toBe(true)
    expect(read('function () { with (o) { return x } }').strict).toBe(false)
    expect(() => read('nothing at all')).toThrow(SyntaxError)
  })
})

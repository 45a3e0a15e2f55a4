import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import * as path from 'node:path'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { GangflowError, move, parallelMap, shared, WorkerPool } from '@gangflow/core/parallel'
import { afterAll, describe, expect, it } from 'vitest'
import { Counter, factor, fibonacci, Named, nameOf, scale, tokens } from './fixtures/project.js'

const pool = new WorkerPool(2)
afterAll(() => pool.close())

/** The same in workers as here. */
async function same<R>(fn: (x: number) => R): Promise<void> {
  const items = [1, 2, 5]
  expect(await pool.map(items, fn)).toEqual(await Promise.all(items.map((item) => fn(item))))
}

/** Of WebAssembly what these tests use; Node's types have no values of it. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: Record<string, unknown> }
  readonly Memory: new (size: {
    initial: number
    maximum?: number
    shared?: true
  }) => { readonly buffer: ArrayBufferLike }
}
const { Module, Instance, Memory } = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly

describe('a function is sent with what it uses', () => {
  const outer = 7
  const words = ['a', 'b', 'c', 'd', 'e', 'f']
  const table = new Map([[1, 'one']])
  const config = { nested: { deep: [1, { x: 5 }] }, when: new Date(3), pattern: /b+/g }

  it('variables of a block, a loop, a function and the module', async () => {
    const kinds: ((x: number) => unknown)[] = []
    for (let index = 0; index < 3; index++) {
      const inner = index * 10
      kinds.push((x) => x + inner + index + outer)
    }
    for (const fn of kinds) await same(fn)
    const make = (base: number) => (x: number) => words[x] + String(base) + table.get(x)
    await same(make(4))
    await same((x) => [config.nested.deep[x], config.when.getTime(), 'abbb'.replace(config.pattern, '')])
  })

  it('what is all in what it was made from', async () => {
    const [url, query] = [new URL('https://a.b/c?d=1'), new URLSearchParams('a=1&a=2')]
    const [encoder, decoder] = [new TextEncoder(), new TextDecoder('utf-16le', { fatal: true })]
    const euro = new Intl.NumberFormat('de', { style: 'currency', currency: 'EUR' })
    const day = new Intl.DateTimeFormat('en', { dateStyle: 'full', timeZone: 'UTC' })
    const words = new Intl.Segmenter('en', { granularity: 'word' })
    await same((x) => [url.host, query.getAll('a'), encoder.encode('é').length, decoder.encoding, decoder.fatal, x])
    await same((x) => [euro.format(x * 1000), day.format(x), [...words.segment('one two')].length])
  })

  it('functions of every form', async () => {
    function declared(x: number): number {
      return x <= 0 ? 0 : x + declared(x - 1)
    }
    const even = (x: number): boolean => x === 0 || odd(x - 1)
    const odd = (x: number): boolean => x !== 0 && even(x - 1)
    function* upTo(x: number): Generator<number> {
      for (let each = 0; each < x; each++) yield each
    }
    const holder = {
      base: 4,
      method(x: number): number {
        return this.base + x
      },
      async later(x: number): Promise<number> {
        return x * 2
      },
      get got(): number {
        return this.base
      },
      ['computed']: (x: number): number => x,
    }
    await same(declared)
    await same(even)
    await same((x) => [...upTo(x)])
    await same((x) => holder.method(x) + holder.got + holder.computed(x))
    await same(async (x) => (await holder.later(x)) + 1)
    await same(function named(x): number {
      return x > 3 ? named(x - 1) : x
    })
    await same((x) => {
      const { a = outer, ...rest } = { a: x === 1 ? undefined : x, b: 2, c: 3 } as { a?: number; b: number; c: number }
      switch (rest.b) {
        case 2: {
          for (const each of words) {
            if (each === 'c') break
          }
          return a + rest.c
        }
        default:
          return 0
      }
    })
    const { method } = { method: (x: number) => x + outer }
    await same(method)
    await same(holder.later)
  })

  it('what the project has in other files, and what packages and Node have', async () => {
    await same((x) => scale(x) + factor)
    await same((x) => fibonacci(x + 5))
    await same((x) => nameOf(`/a/b${x}.ts`) + basename('/a/b') + path.join('a', String(x)))
    await same((x) => tokens('a = 1;'.repeat(x)))
    const { max } = Math
    await same((x) => max(x, 3) + Number.parseInt('10', 10) + JSON.stringify({ x }).length)
    await same((x) => Buffer.from('abc').toString('hex') + typeof process.pid + x)
  })

  it('a module of Node that was loaded after the first map', async () => {
    await pool.map([1], (x) => x)
    const { text } = await import('node:stream/consumers')
    expect(await pool.map([1], () => typeof text)).toEqual(['function'])
  })

  it('a require of its file, and symbols', async () => {
    const require = createRequire(import.meta.url)
    const iterator = Symbol.iterator
    const registered = Symbol.for('gangflow.test')
    await same((x) => require('node:os').EOL + x)
    await same((x) => [iterator === Symbol.iterator, registered === Symbol.for('gangflow.test'), x])
    const own = Symbol('own')
    await expect(pool.map([1], () => own)).rejects.toMatchObject({ code: 'E_MAP_CAPTURE' })
  })

  it('classes and their instances', async () => {
    const counter = new Counter(4)
    const named = new Named('abc')
    class Local {
      #secret = 3
      static made = 2
      tell(x: number): number {
        return this.#secret + x + Local.made
      }
    }
    await same((x) => counter.plus(x) + counter.double)
    await same((x) => named.plus(x) + (named instanceof Counter ? 1 : 0))
    await same((x) => new Counter(x).plus(1) + Counter.unit.length)
    await same((x) => new Local().tell(x))
    await same((x) => new (class extends Counter {})(x).double)
  })

  it('typed arrays are copied once, shared ones never', async () => {
    const data = Float64Array.from({ length: 100 }, (_, index) => index)
    await same((x) => data[x]! + data.length)
    const part = data.subarray(10, 20)
    await same((x) => part[x])
    const bytes = Buffer.from('hello')
    await same((x) => bytes.toString('utf8').slice(x))
    const out = shared.float64(10)
    const counts = shared.int32(1)
    await pool.map([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], (index) => {
      out[index] = index * index
      Atomics.add(counts, 0, 1)
    })
    expect([...out]).toEqual([0, 1, 4, 9, 16, 25, 36, 49, 64, 81])
    expect(counts[0]).toBe(10)
    const copy = shared.from(new Int16Array([1, 2]))
    expect(copy.buffer).toBeInstanceOf(SharedArrayBuffer)
    expect(await pool.map([copy], (each) => (each[0] = 9))).toEqual([9])
    expect(copy[0]).toBe(9)
  })

  it('compiled WebAssembly and its shared memory', async () => {
    const memory = new Memory({ initial: 1, maximum: 1, shared: true })
    const numbers = new Int32Array(memory.buffer)
    // (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
    const module = new Module(
      new Uint8Array([
        ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0],
        ...[10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11],
      ]),
    )
    const add = (each: number): number => {
      const { exports } = new Instance(module)
      numbers[each] = (exports['add'] as (a: number, b: number) => number)(each, 40)
      return memory.buffer.byteLength
    }
    expect(await pool.map([1, 2], add)).toEqual([65_536, 65_536])
    expect([numbers[1], numbers[2]]).toEqual([41, 42])
    const refused = parallelMap([1], () => module.toString(), { isolation: 'process' })
    await expect(refused).rejects.toMatchObject({ code: 'E_MAP_CAPTURE' })
    const own = new Memory({ initial: 1 })
    await expect(pool.map([1], () => own.buffer.byteLength)).rejects.toMatchObject({ code: 'E_MAP_CAPTURE' })
  })

  it('a function that comes again has what is captured now, and nothing of before', async () => {
    const adding = (added: number[]): ((each: number) => number) => {
      return (each) => each + added[0]!
    }
    const both = await Promise.all([1, 2].map((added) => pool.map([10, 20], adding([added]))))
    expect(both).toEqual([
      [11, 21],
      [12, 22],
    ])
    expect(await pool.map([10], adding([3]))).toEqual([13])
  })

  it('what was moved to a worker and not begun there comes back whole', async () => {
    const given = Array.from({ length: 40 }, (_, index) => move(new Float64Array(5000).fill(index)))
    const sums = await pool.map(
      given,
      (array, index) => {
        // Longer than a batch may take before it is asked for what it still holds.
        if (index % 8 === 0) for (const until = performance.now() + 40; performance.now() < until; );
        return array.reduce((sum, each) => sum + each, 0)
      },
      { batch: 8 },
    )
    expect(sums).toEqual(given.map((_, index) => index * 5000))
  })

  it('buffers are moved where that is asked for', async () => {
    const given = new Float64Array(1000).fill(2)
    const [back] = await pool.map([move(given)], (array) => {
      array[0] = 5
      return move(array)
    })
    expect(given.length).toBe(0)
    expect([back!.length, back![0], back![999]]).toEqual([1000, 5, 2])
    // What is gone would arrive empty.
    const again = pool.map([given], (array) => array.length)
    await expect(again).rejects.toMatchObject({ code: 'E_MAP_SEND', message: expect.stringContaining('moved away') })
  })

  it('a view over more than 4 GiB keeps its length', async () => {
    const big = shared.float64(5 * 2 ** 27)
    big[big.length - 1] = 42
    const lengthOf = (): unknown => [big.length, big[big.length - 1]]
    expect(await pool.map([0], lengthOf)).toEqual([[5 * 2 ** 27, 42]])
    expect(await pool.map([big], (each) => [each.length, each[each.length - 1]])).toEqual([[5 * 2 ** 27, 42]])
    expect(await pool.map([{ big }], () => 1).catch((error: GangflowError) => error.code)).toBe('E_MAP_SEND')
  })

  it('maps inside of maps run serially, or as asked', async () => {
    const nested = await pool.map([1, 2], async (x) => {
      const inner = await parallelMap([1, 2, 3], (y) => x * y, { workers: 2 })
      return inner.join()
    })
    expect(nested).toEqual(['1,2,3', '2,4,6'])
    const wide = await pool.map([3], async (x) => parallelMap([1, 2], (y) => x + y, { workers: 1, nested: true }))
    expect(wide).toEqual([[4, 5]])
  })
})

describe('what cannot be sent is refused before anything starts', () => {
  const results: number[] = []
  const totals = { sum: 0 }
  const seen = new Set<number>()
  const cache = new Map<number, number>()
  const array = new Float64Array(4)
  const server = createServer()
  const waiting = Promise.resolve(1)
  const settings = { net: { server } }
  const iterator = [1][Symbol.iterator]()
  const headers = new Headers()
  const { signal } = new AbortController()
  const bound = function (this: { k: number }, x: number): number {
    return this.k + x
  }.bind({ k: 1 })
  let count = 0
  let last: number | undefined
  class Secret {
    #key = 1
    tell = () => this.#key
  }
  const secret = new Secret()
  const promised = promisify(function later(x: number, done: (error: null, y: number) => void) {
    done(null, x)
  })

  it.each<[string, (x: number) => unknown, string, RegExp]>([
    ['push', (x) => results.push(x), 'E_MAP_READONLY', /`results` \(`results\.push\(x\)`\)/],
    ['an element', (x) => (results[x] = x), 'E_MAP_READONLY', /`results`/],
    ['a property', (x) => (totals.sum += x), 'E_MAP_READONLY', /`totals` \(`totals\.sum \+= x`\)/],
    ['a set', (x) => seen.add(x), 'E_MAP_READONLY', /`seen`/],
    ['a map', (x) => cache.set(x, x), 'E_MAP_READONLY', /`cache`/],
    ['a deletion', (x) => delete (totals as Record<string, number>)[String(x)], 'E_MAP_READONLY', /`totals`/],
    ['an array of its own', (x) => (array[x] = 1), 'E_MAP_CAPTURE', /send array to a worker.*`array\[x\] = 1`/s],
    ['an assignment', (x) => (count += x), 'E_MAP_CAPTURE', /send count to a worker: .*assigns/],
    [
      'another assignment',
      (x) => {
        last = x
      },
      'E_MAP_CAPTURE',
      /send last to a worker/,
    ],
    ['a server', () => server.listening, 'E_MAP_CAPTURE', /send server to a worker: .*live handle \(Server\)/],
    ['one inside', () => settings.net.server, 'E_MAP_CAPTURE', /send settings\.net\.server to a worker/],
    ['a promise', () => waiting, 'E_MAP_CAPTURE', /send waiting to a worker: it is a Promise/],
    ['an iterator', () => iterator.next(), 'E_MAP_CAPTURE', /send iterator to a worker/],
    ['what Node hides', () => headers.get('a'), 'E_MAP_CAPTURE', /send headers .*inside cannot be seen \(Headers\)/],
    ['a signal', () => signal.aborted, 'E_MAP_CAPTURE', /send signal .*give the map itself the `signal`/s],
    ['a bound function', bound, 'E_MAP_CAPTURE', /bound function/],
    ['a bound one used', (x) => bound(x), 'E_MAP_CAPTURE', /send bound to a worker: it is a bound function/],
    [
      'a function that Node made',
      () => promised(1),
      'E_MAP_CAPTURE',
      /send promised to a worker: it is a function that Node made/,
    ],
    ['private fields', () => secret.tell(), 'E_MAP_CAPTURE', /send secret .*#key/],
  ])('%s', async (_, fn, code, message) => {
    for (const options of [{}, { serial: true }])
      await expect(pool.map([1], fn, options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect([count, last, results.length, server.listening]).toEqual([0, undefined, 0, false])
  })

  it("a this that is nobody's", async () => {
    const owner = {
      k: 1,
      arrow() {
        return (x: number) => this.k + x
      },
    }
    await expect(pool.map([1], owner.arrow())).rejects.toMatchObject({ code: 'E_MAP_CAPTURE' })
    await expect(
      pool.map([1], function (this: { k: number }) {
        return this.k
      } as never),
    ).rejects.toMatchObject({ code: 'E_MAP_CAPTURE', message: expect.stringContaining('`this`') })
  })

  it('a class whose parts cannot be seen, and the pool goes on', async () => {
    const make = () => {
      const key = 'told'
      return class {
        [key] = 1;
        [`${key}Again`]() {
          return 2
        }
      }
    }
    const Hidden = make()
    await expect(pool.map([1, 2, 3], () => new Hidden())).rejects.toMatchObject({ code: 'E_MAP_CAPTURE' })
    expect(await pool.map([1, 2, 3], (x) => x)).toEqual([1, 2, 3])
  })

  it('a write that only shows when it happens', async () => {
    const push = (to: number[], x: number): number => to.push(x)
    await expect(pool.map([1], (x) => push(results, x))).rejects.toMatchObject({ code: 'E_MAP_READONLY', index: 0 })
    const rows = [[1], [2]]
    await expect(pool.map([0], (x) => rows[x]!.push(1))).rejects.toMatchObject({
      code: 'E_MAP_READONLY',
      message: expect.stringContaining('`rows`'),
    })
    const put = (to: Map<number, number>, x: number) => to.set(x, x)
    await expect(pool.map([1], (x) => put(cache, x).size)).rejects.toMatchObject({ code: 'E_MAP_READONLY' })
  })

  it('is a GangflowError with what to do', async () => {
    const error = await pool.map([1], () => server).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(GangflowError)
    expect((error as GangflowError).fix).toBe("open it inside the function or in the pool's `init`")
  })
})

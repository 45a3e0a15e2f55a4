import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freeAddresses } from '../../support/addresses.mjs'
import { Ranks } from './ranks.js'

/** Around the threshold between doubling (32 KiB) and ring, and lengths that no number of ranks divides. */
const lengths = [0, 1, 2, 3, 5, 1021, 8193, 20_011]

describe.each([1, 2, 3, 4, 5])('%d processes', (size) => {
  let ranks: Ranks
  beforeAll(() => {
    ranks = new Ranks(size)
  })
  afterAll(() => ranks.end())

  it('give every result right, and the same bits on all', async () => {
    const bits = [0, 1, 5, 1000, 50_001].map((length) => ({ step: 'bits', length }))
    const connect = ranks.connect()
    const results = await ranks.run(() => [
      connect,
      { step: 'everything', lengths },
      ...bits,
      ...bits,
      { step: 'many', count: 50 },
      { step: 'close' },
      { step: 'call', operation: 'barrier' },
    ])
    for (const [, all, ...rest] of results.map((one) => one!)) {
      expect(all).toMatchObject({ value: expect.stringMatching(/^[0-9a-f]{64}$/) })
      const values = rest.map(({ value }) => value)
      expect(values.slice(0, 5)).toEqual(values.slice(5, 10))
      expect(values[10]).toEqual([...Array.from({ length: 50 }, (_, at) => at), size])
      expect(rest.at(-1)?.error).toMatchObject({ code: 'E_TF_CLOSED' })
    }
    const told = results.map((one) => one!.slice(1, 7).map(({ value }) => value))
    for (const other of told) expect(other).toEqual(told[0])
  })
})

describe('over TCP', () => {
  let ranks: Ranks
  beforeAll(() => {
    ranks = new Ranks(3)
  })
  afterAll(() => ranks.end())

  it('is the same', async () => {
    const connect = ranks.connect({ addresses: await freeAddresses(3) })
    const results = await ranks.run(() => [connect, { step: 'everything', lengths: [3, 20_011] }, { step: 'close' }])
    for (const one of results) expect(one!.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
  })
})

describe('calls that do not fit', () => {
  let ranks: Ranks
  beforeAll(() => {
    ranks = new Ranks(3)
  })
  afterAll(() => ranks.end())
  const big = { operation: 'allReduce', length: 100_000 }
  const small = { operation: 'allReduce', length: 10 }

  it.each<[string, object, object, RegExp]>([
    ['operation', big, { operation: 'broadcast', length: 100_000 }, /broadcast from rank 0 of float32\[100000\]/],
    ['length', big, { ...big, length: 99_999 }, /float32\[99999\]/],
    ['length of a small one', small, { ...small, length: 11 }, /float32\[11\]/],
    ['way of travel', big, small, /float32\[10\]/],
    ['way of travel, the other way', small, big, /float32\[100000\]/],
    ['kind', big, { ...big, kind: 'int32' }, /int32\[100000\]/],
    ['reduction', small, { ...small, reduction: 'max' }, /\(max\)/],
    ['root', { operation: 'broadcast' }, { operation: 'broadcast', from: 2 }, /from rank 2/],
    ['barrier', small, { operation: 'barrier' }, /barrier/],
  ])('another %s: an error on every rank that says who asked for what', async (_, usual, odd, named) => {
    const connect = ranks.connect()
    const results = await ranks.run((rank) => [
      connect,
      { step: 'call', ...small },
      { step: 'call', ...(rank === 1 ? odd : usual) } as never,
      // Who had all that it needed, such as the root of a broadcast, meets it in the next call.
      { step: 'call', ...small },
      { step: 'close' },
    ])
    for (const [, first, second, third] of results.map((one) => one!)) {
      expect(first!.error).toBeUndefined()
      const error = second!.error ?? third!.error
      expect(error).toMatchObject({ code: 'E_TF_CALL_MISMATCH', what: expect.stringMatching(/call #2 .*rank 1/) })
      expect(error!.what).toMatch(named)
      expect(third!.error).toMatchObject({ code: 'E_TF_CALL_MISMATCH' })
    }
  })

  it('another order', async () => {
    const connect = ranks.connect()
    const results = await ranks.run((rank) => {
      const calls = [
        { step: 'call', ...small },
        { step: 'call', operation: 'allGather', length: 10 },
      ]
      return [connect, ...(rank === 2 ? calls.reverse() : calls), { step: 'close' }]
    })
    for (const one of results)
      expect(one![1]!.error).toMatchObject({ code: 'E_TF_CALL_MISMATCH', what: expect.stringContaining('call #1') })
  })

  it('a value that cannot be sent is refused before anything is, and breaks nothing', async () => {
    const connect = ranks.connect()
    const bad = [
      { step: 'call', operation: 'allReduce', kind: 'uint8' },
      { step: 'call', operation: 'allReduce', reduction: 'product' },
      { step: 'call', operation: 'broadcast', from: 3 },
    ]
    const results = await ranks.run(() => [connect, ...bad, { step: 'call', ...small }, { step: 'close' }])
    for (const [, ...rest] of results.map((one) => one!)) {
      for (const { error } of rest.slice(0, 3)) expect(error).toMatchObject({ code: 'E_TF_VALUES' })
      expect(rest[3]!.error).toBeUndefined()
    }
  })

  it('a rank that does not call is named when the time is over', async () => {
    const connect = ranks.connect()
    const call = { step: 'call', ...small, timeout: 500 }
    const results = await ranks.run((rank) =>
      rank === 2 ? [connect, { step: 'sleep', ms: 2500 }, call, { step: 'close' }] : [connect, call, { step: 'close' }],
    )
    const error = {
      code: 'E_TF_CALL_TIMEOUT',
      what: expect.stringMatching(/not done within 0.5 s on rank \d: rank 2 has made 0 calls/),
    }
    expect(results[0]![1]!.error).toMatchObject(error)
    expect(results[1]![1]!.error).toMatchObject(error)
    expect(results[2]![2]!.error).toMatchObject(error)
  })

  it('a rank that gives up is named on every rank', async () => {
    const connect = ranks.connect()
    const results = await ranks.run((rank) => [
      connect,
      ...(rank === 2 ? [{ step: 'sleep', ms: 1500 }] : []),
      { step: 'call', ...big, ...(rank === 1 ? { abortAfter: 200 } : {}) },
      { step: 'close' },
    ])
    for (const one of results)
      expect(one!.at(-2)!.error).toMatchObject({
        code: 'E_TF_CALL_ABORTED',
        what: expect.stringContaining('rank 1 gave up'),
      })
  })

  it('a rank that closed is named', async () => {
    const connect = ranks.connect()
    const call = { step: 'call', ...small }
    const results = await ranks.run((rank) =>
      rank === 1 ? [connect, call, { step: 'close' }] : [connect, call, call, { step: 'close' }],
    )
    for (const rank of [0, 2]) {
      expect(results[rank]![1]!.error).toBeUndefined()
      expect(results[rank]![2]!.error).toMatchObject({
        code: 'E_TF_RANK_LEFT',
        what: expect.stringContaining('rank 1 closed its collectives after 1 calls'),
      })
    }
  })
})

describe('connecting', () => {
  let ranks: Ranks
  beforeAll(() => {
    ranks = new Ranks(3)
    base = ranks.connect({ connectTimeout: '2s' })
  })
  afterAll(() => ranks.end())
  let base: ReturnType<Ranks['connect']>

  it('with another secret fails by name where it is seen, and soon everywhere', async () => {
    const results = await ranks.run((rank) => [{ ...base, ...(rank === 1 ? { secret: 'another' } : {}) }])
    const codes = results.map((one) => one![0]!.error?.code)
    expect(codes[1]).toBe('E_TF_SECRET')
    for (const code of codes) expect(['E_TF_SECRET', 'E_TF_CONNECT', 'E_TF_RANK_LOST']).toContain(code)
  })

  it('under another name is another group', async () => {
    const results = await ranks.run((rank) => [{ ...base, name: rank === 2 ? 'b' : 'a' }])
    expect(results[2]![0]!.error?.code).toBe('E_TF_SECRET')
  })

  it('a rank that does not come is named', async () => {
    const results = await ranks.run((rank) => (rank === 2 ? [] : [{ ...base, connectTimeout: 700 }]))
    for (const rank of [0, 1])
      expect(results[rank]![0]!.error).toMatchObject({
        code: 'E_TF_CONNECT',
        what: expect.stringMatching(/after 0\.7 s: .*rank 2 \(/),
      })
  })

  it('refuses options that cannot be', async () => {
    const wrong = [{ size: 0 }, { secret: '' }, { addresses: ['nowhere'] }, { addresses: ['a', 'b', 'c'] }]
    const [results] = await ranks.run((rank) =>
      rank === 0 ? wrong.map((one) => ({ ...base, ...one, ...('secret' in one ? { short: true } : {}) })) : [],
    )
    for (const [at, { error }] of results!.entries())
      if (at !== 1) expect(error).toMatchObject({ code: 'E_TF_OPTIONS' })
  })
})

describe('a rank that dies', () => {
  let ranks: Ranks
  afterEach(() => ranks.end())
  const big = { step: 'call', operation: 'allReduce', length: 100_000 }
  const small = { step: 'call', operation: 'allReduce', length: 10 }
  const lost = (rank: number) => ({ code: 'E_TF_RANK_LOST', what: expect.stringContaining(`rank ${rank} was lost`) })
  /** Milliseconds within which a blocked call is to end: 2 to 8 on a quiet machine. */
  const SOON_MS = 500 * Number(process.env['GANGFLOW_SLACK'] ?? 4)

  it.each([
    [2, 4_000_000],
    [4, 4_000_000],
    [4, 64],
  ])(
    'by kill -9 among %d, in the middle of all-reduces of %d, ends the blocked calls of all at once',
    async (size, length) => {
      ranks = new Ranks(size)
      const connect = ranks.connect()
      const ran = ranks.run(() => [connect, { step: 'call', operation: 'barrier' }, { step: 'forever', length }])
      await ranks.connected()
      await sleep(700)
      const killed = performance.now()
      ranks.children[1]!.kill('SIGKILL')
      const results = await ran
      expect(performance.now() - killed).toBeLessThan(SOON_MS)
      for (const [rank, one] of results.entries())
        if (rank === 1) expect(one).toBeUndefined()
        else expect(one!.at(-1)!.error).toMatchObject(lost(1))
    },
  )

  it('while another computes: who waits is told at once, who comes later too', async () => {
    ranks = new Ranks(3)
    const connect = ranks.connect()
    const results = await ranks.run((rank) => [
      connect,
      small,
      ...(rank === 1 ? [{ step: 'sleep', ms: 300 }, { step: 'die' }] : []),
      ...(rank === 2 ? [{ step: 'block', ms: 4000 }] : []),
      rank === 2 ? small : big,
    ])
    expect(results[0]![2]!.error).toMatchObject(lost(1))
    expect(results[2]![3]!.error).toMatchObject(lost(1))
    expect(results[2]![2]!.at - results[0]![2]!.at).toBeGreaterThan(1000)
  })

  it('just after it had done its part: that call succeeds, also for who comes later, and the next does not', async () => {
    ranks = new Ranks(4)
    const connect = ranks.connect()
    // 120 KB lie in the connection when their sender is gone already.
    const sent = { step: 'call', operation: 'broadcast', from: 1, length: 30_000, seed: 3 }
    const results = await ranks.run((rank) => [
      connect,
      small,
      ...(rank === 1 ? [] : [{ step: 'block', ms: 600 }]),
      sent,
      ...(rank === 1 ? [{ step: 'die' }] : []),
      big,
    ])
    for (const rank of [0, 2, 3]) {
      const [, , , fourth, fifth] = results[rank]!
      expect(fourth).toMatchObject({ value: results[0]![3]!.value })
      expect(fourth!.error).toBeUndefined()
      expect(fifth!.error).toMatchObject(lost(1))
    }
  })

  it.each([10, 100_000])('just after an all-reduce of %d: no rank takes the done one for failed', async (length) => {
    ranks = new Ranks(3)
    const connect = ranks.connect()
    const call = { step: 'call', operation: 'allReduceSync', length }
    const results = await ranks.run((rank) => [connect, call, call, ...(rank === 1 ? [{ step: 'die' }] : []), call])
    for (const rank of [0, 2]) {
      const [, one, two, three] = results[rank]!
      expect([one!.error, two!.error]).toEqual([undefined, undefined])
      expect(three!.error).toMatchObject(lost(1))
    }
  })

  it('that is frozen is lost after the time of silence', async () => {
    ranks = new Ranks(3)
    const connect = ranks.connect({ silence: '2s' })
    const ran = ranks.run(() => [connect, { step: 'call', operation: 'barrier' }, { step: 'forever', length: 100_000 }])
    await ranks.connected()
    await sleep(300)
    ranks.children[2]!.kill('SIGSTOP')
    setTimeout(() => ranks.children[2]!.kill('SIGKILL'), 4000)
    const results = await ran
    for (const rank of [0, 1])
      expect(results[rank]!.at(-1)!.error).toMatchObject({
        code: 'E_TF_RANK_LOST',
        what: expect.stringMatching(/rank 2 was lost .*nothing was heard of it for 2 s/),
      })
  })
})

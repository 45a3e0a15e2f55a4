import { execFileSync, spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { type MapProgress, parallelMap, progressChannel, shared, Vectorizer, WorkerPool } from '@gangflow/core/parallel'
import { describe, expect, it } from 'vitest'
import { slack } from './support.js'

const entry = new URL('../../../packages/core/dist/parallel.js', import.meta.url).href

/** Runs a program of its own that has the package. */
function program(text: string, ...flags: string[]): { stdout: string; stderr: string; status: number | null } {
  const source = `import { parallelMap, WorkerPool } from ${JSON.stringify(entry)}\n${text}`
  return spawnSync(process.execPath, [...flags, '--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 60_000,
  })
}

describe('a pool', () => {
  it('keeps its workers, and what init gave them, from map to map', async () => {
    await using pool = new WorkerPool({ workers: 2, init: ({ worker }) => ({ worker, calls: 0 }) })
    await pool.warm()
    const counts: number[][] = []
    for (let round = 0; round < 3; round++) {
      counts.push(
        await pool.map([1, 2, 3, 4], async (_, _index, { state, worker }) => {
          await new Promise((resolve) => setTimeout(resolve, 5))
          return worker === state.worker ? ++state.calls : -1
        }),
      )
    }
    expect(counts.flat().reduce((sum, one) => Math.max(sum, one))).toBeGreaterThanOrEqual(6)
    expect(counts.flat()).not.toContain(-1)
  })

  it('says what its init threw', async () => {
    const pool = new WorkerPool({
      workers: 1,
      init: () => {
        throw new RangeError('no model')
      },
    })
    const refused = { code: 'E_POOL_INIT', message: expect.stringContaining('RangeError: no model') }
    await expect(pool.warm()).rejects.toMatchObject(refused)
    await expect(pool.map([1], (item) => item)).rejects.toMatchObject(refused)
    await expect(pool.map([1], (item) => item, { serial: true })).rejects.toMatchObject(refused)
    await pool.close()
  })

  it('takes another size under way', async () => {
    await using pool = new WorkerPool(1)
    const seen = new Set<number>()
    let taken = 0
    let left = 100
    const input = (function* () {
      for (; left > 0; ) yield taken++
    })()
    const results: number[] = []
    for await (const [item, worker] of pool.iter(
      input,
      async (item, _index, { worker }) => {
        await new Promise((resolve) => setTimeout(resolve, 2))
        return [item, worker] as const
      },
      { batch: 1, ahead: 8 },
    )) {
      results.push(item)
      seen.add(worker)
      if (results.length === 5) pool.resize(3)
      // However long it takes the others to start.
      if (seen.size === 3 && left-- === 100) pool.resize(1)
    }
    expect(results).toEqual(Array.from({ length: taken }, (_, index) => index))
    expect(seen.size).toBe(3)
    expect(pool.size).toBe(1)
    expect(() => pool.resize(0)).toThrow(/workers is 0/)
  })

  it('has the names that people know from other pools', async () => {
    await using pool = new WorkerPool(2)
    expect(await pool.map((x: number) => x * 2, [1, 2])).toEqual([2, 4])
    expect(
      await pool.starmap(
        (a: number, b: number) => a - b,
        [
          [3, 1],
          [5, 2],
        ],
      ),
    ).toEqual([2, 3])
    expect(await pool.run((a: string, b: string) => a + b, 'x', 'y')).toBe('xy')
    const lazily: number[] = []
    for await (const each of pool.imap((x) => x + 1, [1, 2, 3])) lazily.push(each)
    expect(lazily).toEqual([2, 3, 4])
    const anyhow: number[] = []
    for await (const each of pool.imapUnordered((x) => x + 1, [1, 2, 3])) anyhow.push(each)
    expect(anyhow.sort()).toEqual([2, 3, 4])
    {
      using scoped = new WorkerPool(1)
      expect(await scoped.map([1], (x) => x)).toEqual([1])
    }
    expect(() => new Vectorizer((x: number) => x, { numWorkers: 2 } as object)).toThrow(/no option 'numWorkers'/)
    await using vectorizer = new Vectorizer((text: string) => text.split(' '), { workers: 2 })
    expect(await vectorizer.process(['a b', 'c'])).toEqual([['a', 'b'], ['c']])
  })

  it('finishes what runs when it is closed, and takes no more', async () => {
    const pool = new WorkerPool(2)
    const map = pool.map([1, 2, 3], async (item) => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      return item
    })
    const closing = pool.close()
    await expect(pool.map([1], (item) => item)).rejects.toMatchObject({ code: 'E_POOL_CLOSED' })
    expect(await map).toEqual([1, 2, 3])
    await closing
    const other = new WorkerPool(1)
    const endless = other.map([1], () => {
      for (;;);
    })
    endless.catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 200))
    await other.terminate()
    await expect(endless).rejects.toMatchObject({ code: 'E_POOL_CLOSED' })
  })

  it('keeps no program alive, nor does a map that is over', () => {
    const { stdout, stderr, status } = program(`
      const pool = new WorkerPool(2)
      await pool.warm()
      console.log(await pool.map([1, 2], (x) => x), await parallelMap([3], (x) => x))
      for await (const one of parallelMap.iter([1, 2, 3], (x) => x)) break
      await pool.close()
      const processes = new WorkerPool({ workers: 1, isolation: 'process' })
      await processes.warm()
      await processes.close()
      new WorkerPool(1).map([1], (x) => x)
      await parallelMap.iter(Array.from({ length: 5000 }), (x) => x).next()
    `)
    expect([stdout.trim(), stderr, status]).toEqual(['[ 1, 2 ] [ 3 ]', '', 0])
  })

  it('takes as many workers as the CPUs that the process may use', () => {
    const text = 'console.log(new WorkerPool().size)'
    const source = `import { WorkerPool } from ${JSON.stringify(entry)}\n${text}`
    const argv = ['-c', '0', process.execPath, '--input-type=module', '-e', source]
    expect(execFileSync('taskset', argv, { encoding: 'utf8' }).trim()).toBe('1')
  })

  it('imports what a function imports as it runs', () => {
    const { stdout, stderr } = program(
      "console.log(await parallelMap([1], async (x) => (await import('node:os')).EOL.length + x))",
    )
    expect([stdout.trim(), stderr]).toEqual(['[ 2 ]', ''])
  })

  it('says what it lacks where Node forbids workers, or to look into functions', () => {
    const text =
      'for (const options of [{}, { isolation: "process" }]) await parallelMap([1], (x) => x, options).catch((error) => console.log(error.code, error.what))'
    const permission = Number(process.versions.node.split('.')[0]) < 24 ? '--experimental-permission' : '--permission'
    const flags = [permission, '--allow-fs-read=*', '--no-warnings']
    const none = program(text, ...flags)
      .stdout.trim()
      .split('\n')
    expect(none).toEqual([1, 2].map(() => expect.stringMatching(/^E_POOL_START a worker could not be started: Access/)))
    expect(program(text, ...flags, '--allow-worker').stdout).toMatch(
      /^E_MAP_CAPTURE the variables of a function cannot be seen here/,
    )
  })

  it('passes no loader on to its workers, and shows none of its own lines in stacks', () => {
    const text = `console.log(await parallelMap([1], (x) => x + 1))
      await parallelMap([1], () => { throw 1 }).catch(({ stack }) => console.log(/parallel-map|parallel\\.js/.test(stack)))`
    const { stdout, stderr } = program(text, '--import', 'tsx')
    expect([stdout, stderr]).toEqual(['[ 2 ]\nfalse\n', ''])
  })
})

describe('processes as workers', () => {
  it('map, keep state, fail and are replaced as threads are', async () => {
    await using pool = new WorkerPool({ workers: 2, isolation: 'process', init: () => ({ pid: process.pid }) })
    const offset = new Float64Array([5])
    const rows = Array.from({ length: 200 }, (_, index) => ({ id: index, at: new Date(index) }))
    expect(await pool.map(rows, ({ id, at }) => id + at.getTime() + offset[0]!)).toEqual(
      rows.map(({ id }) => 2 * id + 5),
    )
    const pids = await pool.map([1, 2, 3, 4], (_, _index, { state }) => state.pid)
    expect(pids).not.toContain(process.pid)
    await expect(
      pool.map([1, 2], (item) => {
        if (item === 2) throw new TypeError('no')
      }),
    ).rejects.toMatchObject({ code: 'E_MAP_ITEM', index: 1, cause: { name: 'TypeError' } })
    const memory = shared.int32(1)
    await expect(pool.map([1], () => memory[0])).rejects.toMatchObject({ code: 'E_MAP_CAPTURE' })
  })

  it('do not end by Ctrl-C, which a terminal sends to all: that is for the program to say', async () => {
    const { stdout, stderr } = program(`
      const stop = new AbortController()
      process.once('SIGINT', () => stop.abort(new Error('asked to stop')))
      const pool = new WorkerPool({ workers: 2, isolation: 'process' })
      const pids = new Set(await pool.map([1, 2, 3, 4], async () => { await new Promise((r) => setTimeout(r, 20)); return process.pid }))
      const map = pool.map([1, 2], () => new Promise((resolve) => setTimeout(resolve, 60_000)), { signal: stop.signal })
      for (const pid of [...pids, process.pid]) process.kill(pid, 'SIGINT')
      console.log(await map.catch(({ message }) => message))
      await pool.close()
    `)
    expect([stdout.trim(), stderr]).toEqual(['asked to stop', ''])
  })

  it('survive a segmentation fault, which fails the item that made it', async () => {
    await using pool = new WorkerPool({ workers: 2, isolation: 'process' })
    const items = Array.from({ length: 40 }, (_, index) => index)
    const outcomes = await pool.map(
      items,
      (item) => {
        if (item === 17) process.kill(process.pid, 'SIGSEGV')
        return item
      },
      { onError: 'collect' },
    )
    expect(outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([17])
    expect(outcomes[17]).toMatchObject({
      reason: { code: 'E_MAP_WORKER', what: expect.stringContaining('was ended by SIGSEGV') },
    })
  })

  it('time out, stay below their memory, and end with the program', async () => {
    const pool = new WorkerPool({ workers: 1, isolation: 'process', maxMemory: 300 })
    const endless = (): never => {
      for (;;);
    }
    await expect(pool.map([1], endless, { timeout: 500 })).rejects.toMatchObject({ code: 'E_MAP_TIMEOUT' })
    const outcomes = await pool.map(
      [1, 2],
      async (item) => {
        const kept: Uint8Array[] = []
        while (item === 1) {
          kept.push(new Uint8Array(10 << 20).fill(1))
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        return process.pid
      },
      { onError: 'collect' },
    )
    expect(outcomes[0]).toMatchObject({ reason: { code: 'E_MAP_MEMORY' } })
    await pool.close()
    const { value: pid } = outcomes[1] as PromiseFulfilledResult<number>
    expect(() => process.kill(pid, 0)).toThrow()
    const { stdout } = program(`
      const pool = new WorkerPool({ workers: 2, isolation: 'process' })
      const [pid] = await pool.map([1], () => process.pid)
      console.log(pid)
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50)
      await pool.map([1], () => {
        for (;;);
      })
    `)
    const begun = performance.now()
    while (alive(Number(stdout)) && performance.now() - begun < 2000 * slack)
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect(alive(Number(stdout))).toBe(false)
  })
})

describe('progress', () => {
  it('is told while a map runs and once at its end, and to whoever listens', async () => {
    const told: MapProgress[] = []
    const heard: unknown[] = []
    const hear = (message: unknown): void => {
      heard.push(message)
    }
    subscribe(progressChannel, hear)
    await parallelMap(
      Array.from({ length: 60 }, (_, index) => index),
      async (item) => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        if (item === 7) throw new Error('no')
      },
      { workers: 2, label: 'slow', onError: 'collect', progress: (progress) => told.push(progress) },
    )
    unsubscribe(progressChannel, hear)
    expect(told.length).toBeGreaterThan(2)
    expect(heard).toEqual(told)
    const last = told.at(-1)!
    expect(last).toMatchObject({ label: 'slow', done: 60, failed: 1, total: 60, ended: true, eta: 0 })
    expect(told.filter(({ ended }) => ended).length).toBe(1)
    expect(told.map(({ done }) => done)).toEqual(told.map(({ done }) => done).sort((a, b) => a - b))
    const middle = told[told.length >> 1]!
    expect(middle.rate).toBeGreaterThan(0)
    expect(middle.eta).toBeGreaterThan(0)
  })

  it('ends the map where the function that is told throws', async () => {
    const progress = (): never => {
      throw new RangeError('told')
    }
    const wait = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 20))
    const items = Array.from({ length: 60 }, (_, index) => index)
    await expect(parallelMap(items, wait, { workers: 2, progress })).rejects.toThrow('told')
    await expect(parallelMap([1], (x) => x, { progress })).rejects.toThrow('told')
    await expect(parallelMap([1], (x) => x, { progress, serial: true })).rejects.toThrow('told')
  })

  it('is quiet where standard error is no terminal', () => {
    const { stderr } = program('await parallelMap([1, 2], (x) => x, { progress: true })')
    expect(stderr).toBe('')
  })
})

describe('a serial map', () => {
  it('runs the very function in this thread, with the same checks and copies', async () => {
    const given = { list: [1] }
    const state: unknown[] = []
    const results = await parallelMap(
      [given, given],
      (item, index, { state }) => {
        item.list.push(2)
        return [process.pid, index, state.k, item.list.length]
      },
      { serial: true, init: () => ({ k: 4 }) },
    )
    expect(results).toEqual([0, 1].map((index) => [process.pid, index, 4, 2]))
    expect([given.list.length, state.length]).toEqual([1, 0])
    const error = await parallelMap(
      [1],
      () => {
        throw new RangeError('here')
      },
      { serial: true },
    ).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'E_MAP_ITEM', index: 0, cause: { message: 'here' } })
    await expect(parallelMap([() => 1], (x) => x, { serial: true })).rejects.toMatchObject({ code: 'E_MAP_SEND' })
    await expect(parallelMap([1], () => () => 1, { serial: true })).rejects.toMatchObject({ code: 'E_MAP_RESULT' })
    await expect(parallelMap(5 as never, (x) => x, { serial: true })).rejects.toMatchObject({ code: 'E_MAP_ITEMS' })
  })
})

/** A zombie waits for a parent that is gone, and is none. */
function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

// One pool library and one task: `node contestant.mjs LIBRARY TASK WORKERS`. Prepares, then does the task once for each
// line on standard input and prints the milliseconds it took.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { functions, tasks } from './tasks.mjs'

const [library, name, workersText] = process.argv.slice(2)
const workers = Number(workersText)
const peers = createRequire(new URL('../.peers/', import.meta.url))
const file = new URL(tasks[name]?.move ? './moving-worker.mjs' : './node-worker.mjs', import.meta.url).href

/** Each gives `map(items, task)`, and `end`. */
const libraries = {
  serial: () => ({
    map: async (items, { fn }) => {
      const results = []
      for (const item of items) results.push(await functions[fn](item))
      return results
    },
    end() {},
  }),
  async gangflow() {
    const { WorkerPool, move } = await import('../../packages/core/dist/parallel.js')
    const pool = new WorkerPool(workers)
    return {
      map: (items, { fn, chunk, per, move: moves }) =>
        pool.map(moves ? items.map(move) : items, functions[fn], {
          ...(chunk && per && { batch: chunk }),
          moveResults: moves === true,
        }),
      end: () => pool.close(),
    }
  },
  piscina() {
    const { Piscina, move } = peers('piscina')
    const pool = new Piscina({ filename: file, minThreads: workers, maxThreads: workers })
    return {
      map: (items, { fn, move: moves }) =>
        Promise.all(
          items.map((item) => (moves ? pool.run(move(item), { name: 'piscina' }) : pool.run(item, { name: fn }))),
        ),
      end: () => pool.destroy(),
    }
  },
  async tinypool() {
    const { Tinypool } = await import(peers.resolve('tinypool').replace(/\.cjs$/, '.js'))
    const pool = new Tinypool({ filename: file, minThreads: workers, maxThreads: workers })
    return {
      map: (items, { fn, move: moves }) =>
        Promise.all(
          items.map((item) => pool.run(item, moves ? { name: 'tinypool', transferList: [item.buffer] } : { name: fn })),
        ),
      end: () => pool.destroy(),
    }
  },
  workerpool() {
    const pool = peers('workerpool').pool(new URL('./workerpool-worker.mjs', import.meta.url).pathname, {
      workerType: 'thread',
      minWorkers: workers,
      maxWorkers: workers,
    })
    return {
      map: (items, { fn, move: moves }) =>
        Promise.all(
          items.map((item) =>
            moves ? pool.exec('firstOfMoved', [item], { transfer: [item.buffer] }) : pool.exec(fn, [item]),
          ),
        ),
      end: () => pool.terminate(),
    }
  },
  async poolifier() {
    const { FixedThreadPool } = await import(peers.resolve('poolifier').replace(/\.cjs$/, '.mjs'))
    // Without a queue a worker has all that wait in work at once, and the others' one each.
    const queue = name === 'tokenize' ? { enableTasksQueue: true, tasksQueueOptions: { concurrency: 1 } } : {}
    const pool = new FixedThreadPool(workers, new URL('./poolifier-worker.mjs', import.meta.url).pathname, queue)
    return {
      // It moves what it sends; what comes back it copies.
      map: (items, { fn, move: moves }) =>
        Promise.all(items.map((item) => pool.execute(item, fn, undefined, moves ? [item.buffer] : undefined))),
      end: () => pool.destroy(),
    }
  },
}

if (name === 'start') {
  const once = async () => {
    const pool = await libraries[library]()
    await pool.map(
      Array.from({ length: workers }, () => 0),
      { fn: 'identity' },
    )
    return () => pool.end()
  }
  await serve(async () => {
    const begun = performance.now()
    const end = await once()
    const took = performance.now() - begun
    await end()
    return took
  })
} else {
  const pool = await libraries[library]()
  const task = tasks[name]
  // As many items as the library can do in reasonable time; the figure is for one item then.
  const all = task.make()
  const items = library !== 'gangflow' && task.per === 100_000 ? all.slice(0, 20_000) : all
  await serve(async () => {
    const given = task.move ? task.make() : items
    const begun = performance.now()
    const results = await pool.map(given, task)
    const took = performance.now() - begun
    if (results.length !== given.length) throw new Error(`${results.length} results for ${given.length} items`)
    if (task.check?.(results) === false) throw new Error('its results are not what they must be')
    return task.per ? (took / given.length) * task.per : took
  })
  await pool.end()
}

async function serve(once) {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== 'go') break
    console.log(await once())
  }
}

// `npm run bench -- pool [TASK …]`: parallelMap beside the pools of Node and of Python, interleaved in one go. Each
// contestant is a process of its own that is told when to do the task, so that the machine's drift hits all alike.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { baseEnv, median } from '../lib/measure.mjs'
import { bigSum } from './big-sum.mjs'
import { nodePeers, pythonCommand, pythonPeers } from './peers.mjs'

const here = new URL('.', import.meta.url).pathname
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`
const us = (count) => (value) => `${((value * 1000) / count).toFixed(2)} us a task`

/** What each task is, who cannot do it, and how its figure reads. */
const rows = {
  // mpiexec starts mpi4py's workers beside it, before the first line of the program.
  start: { title: 'start-up: two workers, and a first item on each', show: ms, without: ['serial', 'mpi4py'] },
  numbers: { title: '100,000 numbers through a function that gives them back', show: us(100_000) },
  strings: { title: '100,000 strings', show: us(100_000) },
  objects: { title: '100,000 objects of three fields', show: us(100_000) },
  vectors: { title: '100,000 vectors of five numbers', show: us(100_000) },
  single: { title: '5,000 items handed out one by one', show: us(5000), without: ['serial'] },
  cloned: { title: '100 arrays of 10 MB there and back, copied', show: ms, slow: true, heavy: true },
  moved: {
    title: '100 arrays of 10 MB there and back, moved (others than piscina copy)',
    show: ms,
    slow: true,
    heavy: true,
    only: ['gangflow', 'piscina', 'ray'],
  },
  tokenize: { title: 'tokenize: 100 items that wait 10 ms, four workers (ideal: 250 ms)', show: ms, workers: 4 },
  slow: { title: 'slow_fn: 512 jobs (each language against its own serial loop)', show: ms, slow: true },
  malloc: { title: 'slow_fn_malloc: 400 jobs', show: ms, slow: true },
  skew: { title: '64 items of 20 ms, then 448 of 0.05 ms (ideal: 651 ms)', show: ms, slow: true, without: ['serial'] },
}

export async function benchPool(wanted, { rounds, peers, say }) {
  const python = pythonPeers()
  nodePeers()
  const results = {}
  for (const task of wanted.length > 0 ? wanted : [...Object.keys(rows), 'bigsum']) {
    if (task === 'bigsum') {
      results.bigsum = await bigSum({ rounds: rounds ?? 5, say })
      continue
    }
    const row = rows[task]
    if (row === undefined)
      throw new Error(`no task '${task}': there are ${[...Object.keys(rows), 'bigsum'].join(', ')}`)
    results[task] = await measure(task, row, python, peers, rounds ?? (row.slow ? 3 : 7), say)
  }
  return results
}

async function measure(task, row, python, peers, rounds, say) {
  const node = ['serial', 'gangflow', 'piscina', 'tinypool', 'workerpool', 'poolifier']
  const names = [
    ...node.map((name) => ({ name, argv: [process.execPath, `${here}contestant.mjs`] })),
    ...python.libraries.map((name) => ({
      name: `py ${name}`,
      library: name,
      argv: [...pythonCommand(python.path, name, row.workers ?? 2), `${here}contestant.py`],
    })),
  ].filter(
    ({ name, library }) => !row.without?.includes(library ?? name) && (row.only?.includes(library ?? name) ?? true),
  )
  const chosen = names.filter(({ name }) => !peers || name === 'gangflow' || peers.includes(name))
  const times = new Map()
  const left = new Set()
  const running = new Map()
  const start = ({ name, library = name, argv }) =>
    new Contestant(name, [...argv, library, task, String(row.workers ?? 2)])
  // The first round warms up: memory that was never touched costs many times what it costs later.
  for (let round = -1; round < rounds; round++) {
    for (const one of chosen) {
      const { name } = one
      if (left.has(name)) continue
      const contestant = running.get(name) ?? start(one)
      running.set(name, contestant)
      try {
        // Those that hold gigabytes are not there together, and so warm up each time.
        if (row.heavy) await contestant.go(120_000)
        const took = await contestant.go(120_000)
        say(`  ${round < 0 ? 'warm-up' : `round ${round + 1}`} ${name}: ${row.show(took)}`)
        if (round >= 0) times.set(name, [...(times.get(name) ?? []), took])
      } catch (error) {
        console.error(`  ${name} left ${task}: ${error.message}`)
        left.add(name)
      }
      if (!row.heavy && !left.has(name)) continue
      await contestant.end()
      running.delete(name)
    }
  }
  for (const contestant of running.values()) await contestant.end()
  console.log(`\n${row.title}`)
  const own = times.get('gangflow')
  const figures = [...times].map(([name, all]) => ({ name, median: median(all), times: all }))
  for (const { name, median: middle, times: all } of figures.sort((one, other) => one.median - other.median)) {
    // Of each round's two, so that a round on a busy machine counts for both.
    const ratio =
      name === 'gangflow'
        ? ''
        : `gangflow is ${median(own.map((each, index) => each / all[Math.min(index, all.length - 1)])).toFixed(2)} of it`
    console.log(
      `  ${name.padEnd(20)} ${row.show(middle).padStart(18)}  ${ratio}  (${row.show(Math.min(...all))} to ${row.show(Math.max(...all))})`,
    )
  }
  return figures
}

/** A process that does its task once for each line it is given. */
class Contestant {
  constructor(name, [program, ...args]) {
    this.name = name
    this.errors = ''
    this.child = spawn(program, args, { env: { ...baseEnv, TQDM_DISABLE: '' }, stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stderr.on('data', (data) => (this.errors = (this.errors + data).slice(-2000)))
    this.child.stdin.on('error', () => {})
    this.lines = createInterface({ input: this.child.stdout })
  }

  async go(most) {
    if (this.child.exitCode !== null) throw new Error(this.errors.trim().split('\n').at(-1) ?? 'it ended')
    const signal = AbortSignal.timeout(most)
    this.child.stdin.write('go\n')
    const ended = once(this.child, 'exit', { signal }).then(() => {
      throw new Error(this.errors.trim().split('\n').at(-1) || 'it ended')
    })
    ended.catch(() => {})
    for (;;) {
      const [line] = await Promise.race([once(this.lines, 'line', { signal }), ended]).catch((error) => {
        throw error.name === 'AbortError' ? new Error(`no result within ${most / 1000} s`) : error
      })
      // What a library prints of its own is no figure.
      if (/^[\d.]+(e-?\d+)?$/.test(line)) return Number(line)
    }
  }

  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.stdin.end()
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000)
    await once(this.child, 'exit')
    clearTimeout(timer)
  }
}

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

const many = { without: { serial: 'it hands out nothing', 'py serial': 'it hands out nothing' } }
const copies = 'its processes share no memory to move: see the row above'
const noPool = 'it has no pool to start'
/** What each task is, how its figure reads, and who cannot do it, with the reason. `slow`: a round takes a second or more. */
const rows = {
  start: {
    title: 'start-up: two workers, until two first items are done',
    show: ms,
    without: {
      serial: noPool,
      'py serial': noPool,
      'py mpi4py': 'mpiexec starts its workers beside it, before its first line',
      'py metaflow': 'it forks for each item instead',
    },
  },
  numbers: { title: '100,000 numbers through a function that gives them back', show: us(100_000) },
  strings: { title: '100,000 strings', show: us(100_000) },
  objects: { title: '100,000 objects of three fields', show: us(100_000) },
  vectors: { title: '100,000 vectors of five numbers', show: us(100_000) },
  single: { title: '5,000 numbers handed out one by one', show: us(5000), ...many },
  texts: { title: '5,000 strings handed out one by one', show: us(5000), ...many },
  records: { title: '5,000 objects of three fields handed out one by one', show: us(5000), ...many },
  cloned: { title: '100 arrays of 10 MB there and back, copied', show: ms, slow: true, heavy: true },
  moved: {
    title: '100 arrays of 10 MB there and back, moved',
    show: ms,
    slow: true,
    heavy: true,
    only: ['gangflow', 'piscina', 'tinypool', 'workerpool', 'poolifier', 'py ray'],
    others: copies,
    without: { serial: 'it moves nothing', 'py serial': 'it moves nothing' },
  },
  tokenize: { title: 'tokenize: 100 items that wait 10 ms, four workers (ideal: 250 ms)', show: ms, workers: 4 },
  slow: { title: 'slow_fn: 512 jobs (each language against its own serial loop)', show: ms, slow: true },
  malloc: { title: 'slow_fn_malloc: 400 jobs (each language against its own serial loop)', show: ms, slow: true },
  skew: {
    title: '64 items of 20 ms, then 448 of 0.05 ms (ideal: 651 ms)',
    show: ms,
    slow: true,
    without: { serial: 'twice the ideal by itself', 'py serial': 'twice the ideal by itself' },
  },
}

/** All rows take about twenty minutes on two quiet cores; `peers` and named rows make it less. */
export async function benchPool(wanted, { rounds, peers, say }) {
  const python = await pythonPeers()
  nodePeers()
  const results = {}
  for (const task of wanted.length > 0 ? wanted : [...Object.keys(rows), 'bigsum']) {
    if (task === 'bigsum') {
      results.bigsum = await bigSum({ rounds: rounds ?? 5, python, say })
      continue
    }
    const row = rows[task]
    if (row === undefined)
      throw new Error(`no task '${task}': there are ${[...Object.keys(rows), 'bigsum'].join(', ')}`)
    results[task] = await measure(task, row, python, peers, rounds ?? (row.slow ? 3 : 5), say)
  }
  table(results, python.missing)
  return results
}

/** Rounds of one of Python's that takes longer than this, milliseconds, are fewer: two, or of the slow rows one. */
const long = 1000

/** Processes of their own that work also while others are timed, so these are not there then. */
const hasDaemons = ({ library }) => library === 'ray' || library === 'dask'

async function measure(task, row, python, peers, rounds, say) {
  const node = ['serial', 'gangflow', 'piscina', 'tinypool', 'workerpool', 'poolifier']
  const names = [
    ...node.map((name) => ({ name, argv: [process.execPath, `${here}contestant.mjs`] })),
    ...python.libraries.map((name) => ({
      name: `py ${name}`,
      library: name,
      argv: [...pythonCommand(python.path, name, row.workers ?? 2), `${here}contestant.py`],
    })),
  ]
  const reasons = { ...row.without }
  for (const { name } of names) if (row.only?.includes(name) === false) reasons[name] ??= row.others
  const chosen = names
    .filter(({ name }) => reasons[name] === undefined)
    .filter(({ name }) => !peers || name === 'gangflow' || peers.includes(name))
  const times = new Map()
  const running = new Map()
  const start = ({ name, library = name, argv }) =>
    new Contestant(name, [...argv, library, task, String(row.workers ?? 2)])
  // The first rounds warm up: memory that was never touched, and code not yet compiled, cost many times what they do later.
  const warmUps = row.slow ? 1 : 3
  const rests = new Map()
  for (let round = -warmUps; round < rounds; round++) {
    for (const one of chosen) {
      const { name, library } = one
      // Python's have memory to warm up, once or (those that are there alone) each time.
      const rest = rests.get(name) ?? (library === undefined || (!row.slow && !hasDaemons(one)) ? -1 : rounds - 1)
      if (reasons[name] !== undefined || round < (library === undefined ? -warmUps : rest)) continue
      const contestant = running.get(name) ?? start(one)
      running.set(name, contestant)
      const isAlone = row.heavy || hasDaemons(one)
      try {
        const begun = performance.now()
        if (isAlone && task !== 'start') await contestant.go(120_000)
        const took = await contestant.go(120_000)
        if (round < 0 && library !== undefined && performance.now() - begun > long) rests.set(name, rounds - 2)
        say(`  ${round < 0 ? 'warm-up' : `round ${round + 1}`} ${name}: ${row.show(took)}`)
        if (round >= 0) times.set(name, [...(times.get(name) ?? []), took])
      } catch (error) {
        reasons[name] = error.message
      }
      if (!isAlone && round + 1 < rounds && reasons[name] === undefined) continue
      await contestant.end()
      running.delete(name)
    }
  }
  console.log(`\n${row.title}`)
  const own = times.get('gangflow')
  const figures = [...times]
    .map(([name, all]) => ({ name, median: median(all), times: all, ratio: ratioTo(own, all) }))
    .sort((one, other) => one.median - other.median)
  for (const { name, median: middle, times: all, ratio } of figures) {
    const told = name === 'gangflow' || ratio === undefined ? '' : `gangflow is ${ratio.toFixed(2)} of it`
    console.log(
      `  ${name.padEnd(20)} ${row.show(middle).padStart(18)}  ${told}  (${row.show(Math.min(...all))} to ${row.show(Math.max(...all))})`,
    )
  }
  for (const [name, reason] of Object.entries(reasons)) console.log(`  ${name.padEnd(20)} not here: ${reason}`)
  return { figures, reasons }
}

/** The median of each round's ratio, so that a round on a busy machine counts for both; the last rounds are common. */
function ratioTo(own, all) {
  return own && median(own.slice(-all.length).map((each, index) => each / all[index]))
}

/** Everything once more at a glance: gangflow's share of each one's time. */
function table(results, missing) {
  const measured = Object.entries(results).filter(([, { figures }]) => figures)
  if (measured.length < 2) return
  const names = [...new Set(measured.flatMap(([, { figures }]) => figures.map(({ name }) => name)))].filter(
    (name) => name !== 'gangflow',
  )
  console.log(`\ngangflow's time as a share of each other's, and its place among the pools; '-': see the row.`)
  const short = (name) => name.replace('multiprocessing', 'mp.Pool').replace('py ', '').slice(0, 9)
  const line = (cells) => console.log(cells.map((cell, at) => (at === 0 ? cell.padEnd(9) : cell.padStart(10))).join(''))
  line(['', 'place', ...names.map((name) => (name === 'py serial' ? 'py loop' : short(name)))])
  for (const [task, { figures }] of measured) {
    const ratio = (name) => figures.find((one) => one.name === name)?.ratio
    const pools = figures.filter(({ name }) => !name.endsWith('serial'))
    const place = pools.findIndex(({ name }) => name === 'gangflow') + 1
    line([
      task,
      `${place} of ${pools.length}`,
      ...names.map((name) => (ratio(name) === undefined ? '-' : ratio(name).toFixed(ratio(name) < 0.1 ? 3 : 2))),
    ])
  }
  for (const [name, reason] of Object.entries(missing)) console.log(`  ${name} is in no row: ${reason}`)
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
    this.ended = once(this.child, 'exit').then(() => {
      throw new Error(this.errors.trim().split('\n').at(-1) || 'it ended')
    })
    this.ended.catch(() => {})
  }

  async go(most) {
    if (this.child.exitCode !== null) throw new Error(this.errors.trim().split('\n').at(-1) ?? 'it ended')
    const signal = AbortSignal.timeout(most)
    this.child.stdin.write('go\n')
    for (;;) {
      const [line] = await Promise.race([once(this.lines, 'line', { signal }), this.ended]).catch((error) => {
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

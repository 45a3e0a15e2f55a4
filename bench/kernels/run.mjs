// `npm run bench -- kernels`: the wasm backend with the plugin's kernels beside tfjs-node, stock wasm and cpu. Each is a
// process of its own that is told when to do a task, in turns, so that the machine's drift hits all alike.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { baseEnv, median } from '../lib/measure.mjs'
import { tasks } from './tasks.mjs'

const contestants = [
  { name: 'wasm', backend: 'wasm', times: 7 },
  { name: 'tfjs-node', backend: 'tfjs-node', times: 7 },
  { name: 'tfjs-node, one thread', backend: 'tfjs-node', times: 7, env: oneThread() },
  { name: 'stock wasm', backend: 'stock', times: 3 },
  // Seconds a time, where the others take milliseconds.
  { name: 'cpu', backend: 'cpu', times: 1, rounds: 1 },
]

function oneThread() {
  return { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '1', OMP_NUM_THREADS: '1' }
}

/** `wanted` are parts of the tasks' names. */
export async function benchKernels(wanted, { rounds = 5, say = () => {} } = {}) {
  const named = Object.keys(tasks).filter((task) => wanted.every((part) => task.includes(part)))
  if (named.length === 0) throw new Error(`no task is named so; there are:\n${Object.keys(tasks).join('\n')}`)
  const running = await Promise.all(contestants.map(start))
  const results = {}
  try {
    for (const task of named) {
      const times = Object.fromEntries(running.map(({ name }) => [name, []]))
      for (let round = -1; round < rounds; round++)
        for (const contestant of running) {
          if (tasks[task].without?.includes(contestant.name)) continue
          if (contestant.rounds !== undefined && (round < 0 || round >= contestant.rounds)) continue
          contestant.child.send({ task, times: contestant.times })
          const [{ taken, failed }] = await once(contestant.child, 'message')
          if (failed && round === 0) say(`  ${task}: ${contestant.name}: ${failed}`)
          if (taken && round >= 0) times[contestant.name].push(median(taken))
        }
      results[task] = times
      print(task, times)
    }
  } finally {
    for (const { child } of running) child.kill()
  }
  return results
}

async function start(contestant) {
  const file = new URL('contestant.mjs', import.meta.url).pathname
  const env = { ...baseEnv, TF_CPP_MIN_LOG_LEVEL: '2', ...contestant.env }
  const child = fork(file, [contestant.backend], { env, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  const [ready] = await Promise.race([once(child, 'message'), once(child, 'exit')])
  if (!ready?.ready) throw new Error(`${contestant.name} does not start\n  fix: npx gangflow-tfjs-node`)
  return { ...contestant, child }
}

function print(task, times) {
  console.log(`\n${task}`)
  for (const [name, taken] of Object.entries(times)) {
    if (taken.length === 0) {
      console.log(`  ${name.padEnd(22)} ${tasks[task].without?.includes(name) ? 'not tried' : 'cannot'}`)
      continue
    }
    const ratios = taken.map((time, round) => time / (times['tfjs-node'][round] ?? times['tfjs-node'][0]))
    console.log(
      `  ${name.padEnd(22)} ${median(taken).toFixed(2).padStart(9)} ms   ${median(ratios).toFixed(2)} of tfjs-node`,
    )
  }
}

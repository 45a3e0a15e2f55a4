// BigSum: 16000 x 16000 numbers (2 GB) summed in eight blocks, beside a plain loop and, where there is one, numpy.
import { spawnSync } from 'node:child_process'
import { baseEnv, median } from '../lib/measure.mjs'
import { pythonPeers } from './peers.mjs'

const side = 16_000
const blocks = 8

export async function bigSum({ rounds, say }) {
  const { parallelMap, shared, WorkerPool } = await import('../../packages/core/dist/parallel.js')
  const matrix = shared.float64(side * side)
  for (let index = 0; index < matrix.length; index++) matrix[index] = index % 7
  const step = matrix.length / blocks
  const starts = Array.from({ length: blocks }, (_, index) => index * step)
  const sum = (from) => {
    let [a, b, c, d] = [0, 0, 0, 0]
    for (let index = from; index < from + step; index += 4) {
      a += matrix[index]
      b += matrix[index + 1]
      c += matrix[index + 2]
      d += matrix[index + 3]
    }
    return a + b + c + d
  }
  const warm = await new WorkerPool(2).warm()
  const contestants = {
    'a loop': async () => starts.map(sum),
    'gangflow, cold': async () => {
      const pool = new WorkerPool(2)
      const results = await pool.map(starts, sum)
      return { results, after: () => pool.close() }
    },
    'gangflow, warm': () => warm.map(starts, sum),
    'gangflow, parallelMap': () => parallelMap(starts, sum, { workers: 2 }),
  }
  const times = {}
  const expected = sum(0) * 0 + starts.map(sum).reduce((one, other) => one + other)
  for (let round = -1; round < rounds; round++) {
    for (const [name, run] of Object.entries(contestants)) {
      const begun = performance.now()
      const given = await run()
      const took = performance.now() - begun
      await given.after?.()
      const total = (given.results ?? given).reduce((one, other) => one + other)
      if (total !== expected) throw new Error(`${name} sums to ${total}, not ${expected}`)
      say(`  ${name}: ${took.toFixed(1)} ms`)
      times[name] = round < 0 ? [] : [...times[name], took]
    }
  }
  await warm.close()
  const numpy = numpySum(rounds)
  if (numpy) times['py numpy, one thread'] = numpy
  console.log('\nBigSum: 2 GB of numbers in eight blocks on two workers')
  for (const [name, all] of Object.entries(times)) {
    const ratio = (median(all) / median(times['a loop'])).toFixed(2)
    console.log(`  ${name.padEnd(22)} ${median(all).toFixed(1).padStart(9)} ms  ${ratio} of a loop`)
  }
  return times
}

function numpySum(rounds) {
  const { path, libraries } = pythonPeers()
  if (libraries.length === 0) return undefined
  const code = `import numpy, time
m = numpy.zeros((${side}, ${side})); m[:] = 3
for _ in range(${rounds + 1}):
    t = time.perf_counter(); m.sum(); print((time.perf_counter() - t) * 1000)`
  const { stdout, status } = spawnSync(path, ['-c', code], { encoding: 'utf8', env: baseEnv })
  return status === 0 ? stdout.trim().split('\n').slice(1).map(Number) : undefined
}

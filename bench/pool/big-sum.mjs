// BigSum: 16000 x 16000 numbers (2 GB) summed in eight blocks, beside a plain loop and, where there is one, numpy.
import { spawnSync } from 'node:child_process'
import { baseEnv, median } from '../lib/measure.mjs'

const side = 16_000
const blocks = 8

export async function bigSum({ rounds, python, say }) {
  const { parallelMap, WorkerPool } = await import('../../packages/core/dist/parallel.js')
  const memory = new WebAssembly.Memory({ initial: (side * side) / 8192, maximum: (side * side) / 8192, shared: true })
  const matrix = new Float64Array(memory.buffer)
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
  const module = new WebAssembly.Module(sumOfDoubles(memory.buffer.byteLength / 65_536))
  const init = () => new WebAssembly.Instance(module, { env: { memory } }).exports.sum
  const simd = await new WorkerPool({ workers: 2, init }).warm()
  const contestants = {
    'a loop': async () => starts.map(sum),
    'gangflow, cold': async () => {
      const pool = new WorkerPool(2)
      const results = await pool.map(starts, sum)
      return { results, after: () => pool.close() }
    },
    'gangflow, warm': () => warm.map(starts, sum),
    'gangflow, warm, WASM': () =>
      simd.map(starts, (from, _index, { state }) => state(from * 8, (from + step) * 8), { batch: 1 }),
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
  await simd.close()
  const numpy = numpySum(rounds, python)
  if (numpy) times['py numpy, one thread'] = numpy
  console.log('\nBigSum: 2 GB of numbers in eight blocks on two workers')
  for (const [name, all] of Object.entries(times)) {
    const ratio = (median(all) / median(times['a loop'])).toFixed(2)
    const range = `(${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)} ms)`
    console.log(`  ${name.padEnd(22)} ${median(all).toFixed(1).padStart(9)} ms  ${ratio} of a loop  ${range}`)
  }
  return times
}

function numpySum(rounds, { path, libraries }) {
  if (libraries.length === 0) return undefined
  const code = `import numpy, time
m = numpy.zeros((${side}, ${side})); m[:] = 3
for _ in range(${rounds + 1}):
    t = time.perf_counter(); m.sum(); print((time.perf_counter() - t) * 1000)`
  const { stdout, status } = spawnSync(path, ['-c', code], { encoding: 'utf8', env: baseEnv })
  return status === 0 ? stdout.trim().split('\n').slice(1).map(Number) : undefined
}

/**
 * The bytes of a module that sums doubles of a shared memory, eight at a time: `sum(from, to)` in bytes, whole 64s.
 * `pages` is the size of the memory that it imports as `env.memory`.
 */
function sumOfDoubles(pages) {
  const [i32, f64, v128] = [0x7f, 0x7c, 0x7b]
  const leb = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)])
  const text = (name) => [name.length, ...Buffer.from(name)]
  const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes]
  const get = (local) => [0x20, local]
  const set = (local) => [0x21, local]
  const addPairs = [0xfd, 0xf0, 0x01]
  const load = (offset) => [0xfd, 0x00, 4, offset]
  const step = [2, 3, 4, 5].flatMap((sum, at) => [...get(sum), ...get(0), ...load(at * 16), ...addPairs, ...set(sum)])
  const code = [
    ...[1, 4, v128],
    // while (from < to) { four sums += 64 bytes; from += 64 }
    ...[0x02, 0x40, 0x03, 0x40, ...get(0), ...get(1), 0x4f, 0x0d, 1],
    ...[...step, ...get(0), 0x41, 0xc0, 0x00, 0x6a, ...set(0), 0x0c, 0, 0x0b, 0x0b],
    ...[...get(2), ...get(3), ...addPairs, ...get(4), ...get(5), ...addPairs, ...addPairs, ...set(2)],
    ...[...get(2), 0xfd, 0x21, 0, ...get(2), 0xfd, 0x21, 1, 0xa0, 0x0b],
  ]
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, i32, i32, 1, f64]),
    ...section(2, [1, ...text('env'), ...text('memory'), 0x02, 0x03, ...leb(pages), ...leb(pages)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text('sum'), 0x00, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ])
}

// The same with whole arrays, and what makes it slow: 0.8 MB arrays made anew for each job. Fresh memory comes from the
// kernel page by page, and threads of one process queue up for it: more cores do not help. A worker that keeps its
// arrays from job to job, in what `init` gave it, does not ask the kernel at all.
import { parallelMap } from '@gangflow/core/parallel'

const n = 100_000
const jobs = Array.from({ length: 400 }, () => Array.from({ length: 5 }, Math.random))

function sumOf(args: readonly number[], x: Float64Array, y: Float64Array): number {
  for (let j = 0; j < n; j++) x[j] = j / (n - 1)
  y.fill(0)
  for (const [i, p] of args.entries()) {
    const factor = p ** (i + 1)
    for (let j = 0; j < n; j++) y[j]! += x[j]! * factor
  }
  let sum = 0
  for (let j = 0; j < n; j++) sum += y[j]!
  return sum / n
}

const fresh = (args: readonly number[]): number => sumOf(args, new Float64Array(n), new Float64Array(n))

async function timed(what: string, run: () => number[] | Promise<number[]>): Promise<number[]> {
  const begun = performance.now()
  const result = await run()
  console.log(`${what.padEnd(36)} ${(performance.now() - begun).toFixed(0).padStart(6)} ms`)
  return result
}

const results = [
  await timed('a loop, fresh arrays', () => jobs.map(fresh)),
  await timed('parallelMap, fresh arrays', () => parallelMap(jobs, fresh)),
  await timed('parallelMap, arrays of the worker', () =>
    parallelMap(jobs, (args, _index, { state }) => sumOf(args, state.x, state.y), {
      init: () => ({ x: new Float64Array(n), y: new Float64Array(n) }),
    }),
  ),
]
console.log(results.every((one) => String(one) === String(results[0])) ? 'all the same' : 'they differ!')

// "Multiprocessing in 8 lines": a slow function of a parameter vector, for 512 vectors, with a bar.
import { parallelMap } from '@gangflow/core/parallel'

function slowFn(args: readonly number[]): number {
  const n = 10_000
  let y = 0
  for (let j = 0; j < n; j++) for (const [i, p] of args.entries()) y += (j / n) * p ** (i + 1)
  return y / n
}

const jobs = Array.from({ length: 512 }, () => Array.from({ length: 5 }, Math.random))

let begun = performance.now()
const serial = jobs.map(slowFn)
const alone = performance.now() - begun

begun = performance.now()
const parallel = await parallelMap(jobs, slowFn, { progress: true, label: 'slow_fn' })
const together = performance.now() - begun

console.log(
  `a loop ${alone.toFixed(0)} ms, parallelMap ${together.toFixed(0)} ms: ${(alone / together).toFixed(1)} times as fast`,
)
console.log(serial.every((value, index) => value === parallel[index]) ? 'all the same' : 'they differ!')

// Interleaved rounds of whole processes: A B C, A B C, …, so that a drifting machine hits all alike.
import { spawn } from 'node:child_process'

/** Wall milliseconds of one run of a contestant; throws when it fails. */
async function once({ argv, cwd, env }) {
  const begun = process.hrtime.bigint()
  const child = spawn(argv[0], argv.slice(1), {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => (output = (output + data).slice(-4000)))
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}:\n${output}`)
  return Number(process.hrtime.bigint() - begun) / 1e6
}

/**
 * @param {{ name: string, argv?: string[], together?: string[][], cwd?: string, env?: object, per?: number }[]} contestants
 *   `together` starts several at once and waits for all; `per` divides (tasks in one run).
 * @returns {Promise<{ name: string, times: number[], median: number }[]>} milliseconds
 */
export async function interleave(contestants, { rounds = 5, warmup = 1, say = () => {} } = {}) {
  const times = new Map(contestants.map(({ name }) => [name, []]))
  for (let round = -warmup; round < rounds; round++) {
    for (const contestant of contestants) {
      if (contestant.rounds !== undefined && round >= contestant.rounds) continue
      if (contestant.rounds !== undefined && round < 0) continue
      const begun = process.hrtime.bigint()
      if (contestant.together) await Promise.all(contestant.together.map((argv) => once({ ...contestant, argv })))
      else await once(contestant)
      const ms = Number(process.hrtime.bigint() - begun) / 1e6 / (contestant.per ?? 1)
      say(`  ${round < 0 ? 'warm-up' : `round ${round + 1}`} ${contestant.name}: ${ms.toFixed(1)} ms`)
      if (round >= 0) times.get(contestant.name).push(ms)
    }
  }
  return contestants.map(({ name }) => ({ name, times: times.get(name), median: median(times.get(name)) }))
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

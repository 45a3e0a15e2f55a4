// Interleaved rounds of whole processes: A B C, A B C, …, so that a drifting machine hits all alike.
import { spawn } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'

/**
 * What every contestant gets. Without NODE_EXTRA_CA_CERTS: Node 20 reads all certificates at each start where it is
 * set, which makes a bare Node two to three times dearer and says nothing of what is compared.
 */
const { NODE_EXTRA_CA_CERTS: certificates, ...plain } = process.env
export const baseEnv = process.argv.includes('--certificates') ? process.env : plain
export const hasCertificates = certificates !== undefined

/** Wall milliseconds of one run of a contestant; throws when it fails. */
async function once({ argv, cwd, env }) {
  const begun = process.hrtime.bigint()
  const child = spawn(argv[0], argv.slice(1), {
    cwd,
    env: { ...baseEnv, ...env },
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

/** One run of a contestant: figures by name, of which `time` is its wall milliseconds (each of `per`). */
async function figuresOf(contestant) {
  if (contestant.measure) return await contestant.measure()
  const begun = process.hrtime.bigint()
  if (contestant.together) await Promise.all(contestant.together.map((argv) => once({ ...contestant, argv })))
  else await once(contestant)
  return { time: Number(process.hrtime.bigint() - begun) / 1e6 / (contestant.per ?? 1) }
}

/**
 * @param {{ name: string, argv?: string[], together?: string[][], measure?: () => Promise<Record<string, number>>,
 *   cwd?: string, env?: object, per?: number, rounds?: number }[]} contestants
 *   `together` starts several at once and waits for all; `measure` runs once and gives milliseconds by figure, none where a peer failed;
 *   `per` divides (tasks in one run).
 * @returns {Promise<{ name: string, figure: string, times: number[], median: number }[]>} milliseconds, a row a figure
 */
export async function interleave(contestants, { rounds = 5, warmup = 1, say = () => {}, signal } = {}) {
  const rows = new Map()
  for (let round = -warmup; round < rounds; round++) {
    for (const contestant of contestants) {
      const { name } = contestant
      if (contestant.rounds !== undefined && (round >= contestant.rounds || round < 0)) continue
      // Where one blocks, signals are heard between two of them.
      await setImmediate()
      signal?.throwIfAborted()
      const figures = Object.entries(await figuresOf(contestant))
      const told = figures.map(([figure, ms]) => `${figures.length > 1 ? `${figure} ` : ''}${ms.toFixed(1)} ms`)
      say(`  ${round < 0 ? 'warm-up' : `round ${round + 1}`} ${name}: ${told.join(', ') || 'no figure'}`)
      for (const [figure, time] of figures) {
        const key = `${name}\n${figure}`
        if (!rows.has(key)) rows.set(key, { name, figure, times: [] })
        if (round >= 0) rows.get(key).times.push(time)
      }
    }
  }
  return [...rows.values()].map((row) => ({ ...row, median: median(row.times) }))
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The median of the ratios round by round: on a drifting machine neighbours compare best. Of medians where rounds differ. */
export function ratioOf(one, base) {
  if (one.times.length !== base.times.length) return one.median / base.median
  return median(one.times.map((time, round) => time / base.times[round]))
}

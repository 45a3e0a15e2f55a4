// `npm run bench -- scaling [wasm] [tfjs-node]`: a compute-heavy convolutional network on two cores, by two workers of each
// strategy, beside two processes that know nothing of each other and have half of each batch: the ideal.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { baseEnv, median } from '../lib/measure.mjs'

const file = new URL('contestant.mjs', import.meta.url).pathname
const oneThread = { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '1', OMP_NUM_THREADS: '1' }
const ideal = 'two independent processes'

/** Processes that train together when they are told to. */
async function start(name, backend, way, count, addresses = []) {
  const env = { ...baseEnv, ...oneThread, TF_CPP_MIN_LOG_LEVEL: '2' }
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc']
  const children = Array.from({ length: count }, (_, rank) =>
    fork(file, [backend, way, String(rank), ...addresses], { env, stdio }),
  )
  const heard = (child) =>
    Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => {
        throw new Error(`${name} ended; of tfjs-node: npx gangflow-tfjs-node`)
      }),
    ])
  await Promise.all(children.map(heard))
  return {
    name,
    async measure() {
      const begun = performance.now()
      const done = children.map(heard)
      for (const child of children) child.send('train')
      await Promise.all(done)
      return performance.now() - begun
    },
    end() {
      for (const child of children) child.kill('SIGKILL')
    },
  }
}

export async function benchScaling(wanted, { rounds = 5, say }) {
  const folder = mkdtempSync(join(tmpdir(), 'gf-scaling-'))
  const results = {}
  try {
    for (const backend of wanted.length > 0 ? wanted : ['wasm', 'tfjs-node']) {
      const addresses = [0, 1].map((rank) => join(folder, `${backend}-${rank}`))
      const all = [
        await start(ideal, backend, 'independent', 2),
        await start('MultiWorkerMirroredStrategy', backend, 'gang', 2, addresses),
        await start('MirroredStrategy', backend, 'threads', 1),
        await start('one process', backend, 'alone', 1),
      ]
      const times = Object.fromEntries(all.map(({ name }) => [name, []]))
      try {
        for (let round = -1; round < rounds; round++)
          for (const one of all) {
            const took = await one.measure()
            say(`  ${backend}, ${round < 0 ? 'warm-up' : `round ${round + 1}`} ${one.name}: ${took.toFixed(0)} ms`)
            if (round >= 0) times[one.name].push(took)
          }
      } finally {
        for (const one of all) one.end()
      }
      console.log(`\n${backend}: four batches of 64 images of 32x32x3; efficiency: of the throughput of ${ideal}`)
      for (const [name, taken] of Object.entries(times)) {
        const efficiency = median(taken.map((took, round) => times[ideal][round] / took))
        console.log(`  ${name.padEnd(28)} ${median(taken).toFixed(0).padStart(7)} ms  ${efficiency.toFixed(2)}`)
      }
      results[backend] = times
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return results
}

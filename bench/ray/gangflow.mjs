// The same cluster by `@ray`: one run to its end, one that loses a raylet.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { baseEnv } from '../lib/measure.mjs'
import { figures, gone, processIn } from './processes.mjs'

const cli = new URL('../../packages/core/dist/cli.cjs', import.meta.url).pathname
const flow = new URL('../flows/ray.ts', import.meta.url).pathname

export async function byGangflow(place) {
  const whole = await run(place, 'whole')
  const failed = await run(place, 'lose', (cluster) => {
    process.kill(processIn(`${cluster}-${place.nodes - 1}/`, 'raylet'), place.stop ? 'SIGSTOP' : 'SIGKILL')
  })
  return {
    [figures.ready]: whole.ready,
    [place.stop ? figures.stopped : figures.killed]: failed.ended,
    [figures.end]: whole.ended,
  }
}

/** A run of the flow: when its cluster was ready, and how long after that nothing of it was left. */
async function run({ python, nodes, folder }, mode, onReady = () => {}) {
  const argv = [cli, 'run', flow, '--datastore', join(folder, 'store'), '--nodes', String(nodes), '--mode', mode]
  const child = spawn(process.execPath, argv, {
    env: { ...baseEnv, GANGFLOW_PYTHON: python },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let told
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data
      const seen = /ready after ([\d.]+) in (\S+)-0\n/.exec(output)
      if (told || !seen) return
      told = { ready: Number(seen[1]), cluster: seen[2], at: performance.now() }
      onReady(told.cluster)
    })
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (!told || (code === 0) !== (mode === 'whole'))
    throw new Error(`gangflow run ended with ${code}:\n${output.slice(-4000)}`)
  await gone([told.cluster])
  return { ready: told.ready, ended: performance.now() - told.at }
}

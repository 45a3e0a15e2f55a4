// `node bench/torch-launch.mjs [--rounds N]`: four ranks of a gloo all-reduce on one host, by torchrun typed by hand, by bare
// processes, and by `current.torch.run` with each launcher; interleaved, medians, ratios to torchrun by hand. Two figures
// each: from the call to the first all-reduce, and to the end.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pythonWithTorch } from '../scripts/python-env.mjs'
import { median } from './lib/measure.mjs'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, json: { type: 'boolean', default: false } },
})
const here = new URL('.', import.meta.url).pathname
const script = join(here, 'torch/all_reduce.py')
const cli = new URL('../packages/core/dist/cli.js', import.meta.url).pathname
const python = await pythonWithTorch()
const store = mkdtempSync(join(tmpdir(), 'gangflow-bench-'))
const ranks = 4

/** Runs to the end; its output and the times around it, in nanoseconds. */
async function end(argv, env = {}) {
  const begun = process.hrtime.bigint()
  const child = spawn(argv[0], argv.slice(1), {
    cwd: here,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}:\n${output.slice(-4000)}`)
  return { begun, ended: process.hrtime.bigint(), output }
}

const between = (from, to) => Number(to - from) / 1e9
const firstIn = (output) => BigInt(/first all-reduce at (\d+)/.exec(output)[1])

async function torchrunByHand() {
  const { begun, ended, output } = await end([
    python,
    '-m',
    'torch.distributed.run',
    '--standalone',
    '--nproc-per-node',
    String(ranks),
    script,
  ])
  return { first: between(begun, firstIn(output)), whole: between(begun, ended) }
}

async function bareProcesses() {
  const port = String(20_000 + Math.floor(Math.random() * 10_000))
  const env = (rank) => ({
    RANK: String(rank),
    LOCAL_RANK: String(rank),
    WORLD_SIZE: String(ranks),
    LOCAL_WORLD_SIZE: String(ranks),
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: port,
    OMP_NUM_THREADS: '1',
  })
  const all = await Promise.all(Array.from({ length: ranks }, (_, rank) => end([python, script], env(rank))))
  const begun = all[0].begun
  return { first: between(begun, firstIn(all[0].output)), whole: between(begun, process.hrtime.bigint()) }
}

const byGangflow = (launcher) => async () => {
  const flow = join(here, `flows/torch-${launcher}.ts`)
  const { output } = await end([process.execPath, cli, 'run', flow, '--datastore', store], { GANGFLOW_PYTHON: python })
  const [, called, settled] = /called at (\d+), settled at (\d+)/.exec(output)
  return { first: between(BigInt(called), firstIn(output)), whole: between(BigInt(called), BigInt(settled)) }
}

const contestants = {
  'torchrun by hand': torchrunByHand,
  'bare processes': bareProcesses,
  'run, torchrun': byGangflow('torchrun'),
  'run, direct': byGangflow('direct'),
  'run, prefork': byGangflow('prefork'),
}
const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const [name, run] of Object.entries(contestants)) {
    const time = await run()
    console.error(
      `${round === 0 ? 'warm-up' : `round ${round}`} ${name}: first ${time.first.toFixed(2)} s, whole ${time.whole.toFixed(2)} s`,
    )
    if (round > 0) times[name].push(time)
  }
}
rmSync(store, { recursive: true, force: true })

const rows = Object.entries(times).map(([name, list]) => ({
  name,
  first: median(list.map(({ first }) => first)),
  whole: median(list.map(({ whole }) => whole)),
}))
const [base] = rows
if (values.json) console.log(JSON.stringify(rows))
else {
  console.log(`four ranks of a gloo all-reduce on one host, medians of ${values.rounds} interleaved rounds`)
  for (const { name, first, whole } of rows) {
    const column = (time, of) => `${time.toFixed(2).padStart(6)} s ${(time / of).toFixed(2).padStart(5)}`
    console.log(
      `${name.padEnd(18)} first all-reduce ${column(first, base.first)}   to the end ${column(whole, base.whole)}`,
    )
  }
}

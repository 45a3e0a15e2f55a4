// The row `torch`: four ranks of a gloo all-reduce on one host, by `torchrun` typed by hand, by bare processes, and by
// `current.torch.run` with each launcher.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { pythonWithTorch } from '../../scripts/python-env.mjs'
import { baseEnv } from './measure.mjs'

const here = new URL('..', import.meta.url).pathname
const cli = new URL('../../packages/core/dist/cli.cjs', import.meta.url).pathname
const script = join(here, 'torch/all_reduce.py')
const ranks = 4
// Python may keep its bytecode, as it does on most machines: the first round compiles torch, once for all contestants.
const environment = { ...baseEnv, PYTHONDONTWRITEBYTECODE: '' }
export const byHand = 'torchrun by hand'

/** What is read off each run; all by hand start at their command, where call and command are one. */
export const figures = {
  'call to end': 'from the call of current.torch.run (or the command typed by hand) until it has ended',
  'call to all-reduce': 'from the same until the first all-reduce of rank 0 is done',
  'command to all-reduce': 'from the start of `gangflow run` (or the command typed by hand) until then',
  processor: 'processor time of the whole command, all its processes',
}

/** Runs to the end under bash's `time`; nanoseconds of the machine's monotonic clock, and milliseconds of processor time. */
async function end(argv, env = {}) {
  const begun = process.hrtime.bigint()
  const timed = ['-c', `TIMEFORMAT=$'\\nprocessor %3U %3S'; time "$@"`, 'bash', ...argv]
  const child = spawn('bash', timed, { cwd: here, env: { ...environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const ended = process.hrtime.bigint()
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}:\n${output.slice(-4000)}`)
  const [, user, system] = /^processor (\S+) (\S+)$/m.exec(output)
  return { begun, ended, output, processor: (Number(user) + Number(system)) * 1000 }
}

const ms = (from, to) => Number(to - from) / 1e6
const firstIn = (output) => BigInt(/first all-reduce at (\d+)/.exec(output)[1])

/** The figures of one run whose `current.torch.run`, or command, was called and had ended at these times. */
const read = ({ begun, output, processor }, called, ended) => ({
  'call to end': ms(called, ended),
  'call to all-reduce': ms(called, firstIn(output)),
  'command to all-reduce': ms(begun, firstIn(output)),
  processor,
})

/** Contestants for `interleave`; `store` is a datastore of the bench's own. */
export async function torchContestants(store) {
  const python = await pythonWithTorch()

  async function torchrunByHand() {
    const options = ['--standalone', '--nproc-per-node', String(ranks)]
    const run = await end([python, '-m', 'torch.distributed.run', ...options, script])
    return read(run, run.begun, run.ended)
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
    const processor = all.reduce((sum, one) => sum + one.processor, 0)
    return read({ ...all[0], processor }, all[0].begun, process.hrtime.bigint())
  }

  const byGangflow = (launcher) => async () => {
    const argv = [process.execPath, cli, 'run', join(here, 'flows/torch.ts'), '--datastore', store]
    const run = await end(argv, { GANGFLOW_PYTHON: python, BENCH_TORCH_LAUNCHER: launcher })
    const [, called, settled] = /called at (\d+), settled at (\d+)/.exec(run.output)
    return read(run, BigInt(called), BigInt(settled))
  }

  return [
    { name: byHand, measure: torchrunByHand },
    { name: 'bare processes', measure: bareProcesses },
    ...['torchrun', 'direct', 'prefork'].map((launcher) => ({
      name: `gangflow, ${launcher}`,
      measure: byGangflow(launcher),
    })),
  ]
}

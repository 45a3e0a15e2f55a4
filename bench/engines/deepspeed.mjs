// The row `deepspeed`: ranks on this machine, by `deepspeed` typed by hand (as of one host: it would have others by ssh), and by
// `current.deepspeed.run` with each launcher on as many members.
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { engineEnvironment } from '../../scripts/engine-env.mjs'
import { baseEnv } from '../lib/measure.mjs'
import { freePorts, runFlow, since } from './run.mjs'

export const byHand = 'deepspeed by hand'
/** What is read off each run. */
export const figures = {
  'call to first lines':
    "from the first member's call of current.deepspeed.run (or the command typed by hand) until the script's first line has run in all ranks",
  'command to first lines': 'from the start of `gangflow run` (or the same command) until then',
  'call to barrier': 'from the call (or the command) until all have met in DeepSpeed',
  'command to the end': 'of the whole command',
  'kill to the end': 'from kill -9 of a rank until the command has ended',
}
const script = join(import.meta.dirname, 'ranks.py')

export async function deepspeedContestants(place) {
  const { nodes } = place
  const python = await engineEnvironment('deepspeed')
  // The one of the tests: what is compiled there need not be compiled here.
  const env = { GANGFLOW_PYTHON: python, TORCH_EXTENSIONS_DIR: join(dirname(dirname(python)), 'extensions') }

  async function typed(fault = '') {
    const [port] = await freePorts(1)
    const argv = ['-m', 'deepspeed.launcher.runner', '--num_gpus', String(nodes), '--master_port', String(port), script]
    const begun = process.hrtime.bigint()
    const path = `${dirname(python)}:${process.env.PATH}`
    const child = spawn(python, argv, {
      env: { ...baseEnv, ...env, PATH: path, DS_ACCELERATOR: 'cpu', BENCH_FAULT: fault },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
    const code = await new Promise((resolve) => child.on('close', resolve))
    // DeepSpeed leaves them, 69 MB a rank.
    for (let rank = 0; rank < nodes; rank++)
      rmSync(`/dev/shm/deepspeed_allreduce_buffer_${process.getuid()}_127.0.0.1_${port}_${rank}`, { force: true })
    if ((code === 0) !== (fault === '')) throw new Error(`deepspeed ended with ${code}:\n${output.slice(-4000)}`)
    return { output, from: (at) => Number(BigInt(at) - begun) / 1e6, to: (at) => since(BigInt(at)), all: since(begun) }
  }
  const last = (output, what) => {
    let latest = 0n
    for (const [, at] of output.matchAll(new RegExp(`${what} at (\\d+)`, 'g')))
      if (BigInt(at) > latest) latest = BigInt(at)
    return latest
  }
  const read = (well, lost, called) => ({
    'call to first lines': Number(last(well.output, 'first line') - called) / 1e6,
    'command to first lines': well.from(last(well.output, 'first line')),
    'call to barrier': Number(last(well.output, 'met') - called) / 1e6,
    'command to the end': well.all,
    'kill to the end': lost.to(last(lost.output, 'killed')),
  })

  async function measureTyped() {
    const begun = process.hrtime.bigint()
    const well = await typed()
    return read(well, await typed('kill'), begun)
  }
  const measure = (launcher) => async () => {
    const well = await runFlow('deepspeed', place, { ...env, BENCH_LAUNCHER: launcher })
    const lost = await runFlow('deepspeed', place, { ...env, BENCH_LAUNCHER: launcher, BENCH_FAULT: 'kill' })
    const calls = [...well.output.matchAll(/called at (\d+)/g)].map(([, at]) => BigInt(at))
    return read(well, lost, calls.sort((a, b) => (a < b ? -1 : 1))[0])
  }

  return [
    { name: byHand, measure: measureTyped },
    { name: 'gangflow, direct', measure: measure('direct') },
    { name: 'gangflow, deepspeed', measure: measure('deepspeed') },
  ]
}

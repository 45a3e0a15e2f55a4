// What the rows of engines share: a run of a bench flow, times of the machine's monotonic clock, free ports.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { baseEnv } from '../lib/measure.mjs'

const flows = join(import.meta.dirname, '../flows')
const cli = new URL('../../packages/core/dist/cli.cjs', import.meta.url).pathname

/** Milliseconds from then to now. */
export const since = (then) => Number(process.hrtime.bigint() - then) / 1e6

/** Of the words behind `bench --`, how many nodes the rows of engines have; rows are what else there is. */
export function engineNodes(words, fallback = 4) {
  const numbers = words.filter((word) => /^[\d.-]+$/.test(word))
  const nodes = Number(numbers[0] ?? fallback)
  if (numbers.length > 1 || !(Number.isInteger(nodes) && nodes >= 2))
    throw new Error(`NODES ${numbers.join(' ')}: give one whole number, from 2`)
  return { nodes, rows: words.filter((word) => !numbers.includes(word)) }
}

/** Runs a flow to its end, which with BENCH_FAULT must be a failure; `from` and `to`: milliseconds between its ends and a moment. */
export async function runFlow(name, { store, nodes }, env) {
  const begun = process.hrtime.bigint()
  const argv = [cli, 'run', join(flows, `${name}.ts`), '--datastore', store, '--nodes', String(nodes)]
  const child = spawn(process.execPath, argv, { env: { ...baseEnv, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const code = await new Promise((resolve) => child.on('close', resolve))
  const ended = process.hrtime.bigint()
  if ((code === 0) !== (env.BENCH_FAULT === undefined))
    throw new Error(`gangflow run ${name}.ts ended with ${code}:\n${output.slice(-4000)}`)
  return {
    output,
    from: (at) => Number(BigInt(at) - begun) / 1e6,
    to: (at) => Number(ended - BigInt(at)) / 1e6,
    all: Number(ended - begun) / 1e6,
  }
}

/** Ports that nobody listens on now. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => server.address().port)
  for (const server of servers) server.close()
  return ports
}

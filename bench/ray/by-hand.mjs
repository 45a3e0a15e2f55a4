// Ray nodes by `ray start` typed by hand, one after the other, with a token as `@ray` has one.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { tsImport } from 'tsx/esm/api'
import { baseEnv } from '../lib/measure.mjs'
import { figures, gone, processIn } from './processes.mjs'

const names = [
  'node-manager',
  'object-manager',
  'runtime-env-agent',
  'dashboard-agent-grpc',
  'metrics-export',
  'dashboard-agent-listen',
]

/** One cluster; on a busy machine Ray's start may give itself up, and is then typed again. */
export async function byHand(place) {
  for (let left = 3; ; left--) {
    try {
      return await cluster(place)
    } catch (error) {
      if (left === 0) throw error
      console.error(`  ${error.message.split('\n')[0]}; once more`)
    }
  }
}

/** To its last node, from a raylet's loss until the GCS tells of it, and to its end by signals. */
async function cluster({ python, nodes, stop }) {
  const { Gcs } = await tsImport('../../packages/plugin-ray/src/gcs.ts', import.meta.url)
  // A folder for each node; short, for the sockets in it.
  const folders = Array.from({ length: nodes }, () => mkdtempSync('/tmp/bench-ray-'))
  // Where a home has a token of Ray's, its head alone would ask for it: RAY_AUTH_MODE decides for all nodes.
  const token = randomBytes(32).toString('hex')
  const env = { ...baseEnv, RAY_AUTH_MODE: 'token', RAY_AUTH_TOKEN: token, PYTHONUNBUFFERED: '1' }
  const ip = address()
  const [port, client, ...ports] = await freePorts(2 + nodes * names.length)
  const pids = []
  const undo = () => end(pids)
  // Also when the bench is stopped: nobody else would end them.
  process.on('exit', undo)
  const begun = performance.now()
  try {
    for (const [node, folder] of folders.entries()) {
      const head = `--head --port=${port} --include-dashboard=false --no-monitor --ray-client-server-port=${client}`
      const first = node === 0 ? head.split(' ') : [`--address=${ip}:${port}`]
      const own = names.map((name, index) => `--${name}-port=${ports[node * names.length + index]}`)
      pids.push(await start(python, env, [...first, ...own, ...common(folder, node, ip)]))
    }
    const ready = performance.now()
    const gcs = new Gcs(`${ip}:${port}`, token, [])
    process.kill(processIn(folders.at(-1), 'raylet'), stop ? 'SIGSTOP' : 'SIGKILL')
    const lost = performance.now()
    while ((await gcs.nodes(AbortSignal.timeout(10_000))).every(({ alive }) => alive)) await sleep(20)
    const told = performance.now()
    gcs.close()
    end(pids)
    await gone(folders)
    return {
      [figures.ready]: ready - begun,
      [stop ? figures.stopped : figures.killed]: told - lost,
      [figures.end]: performance.now() - told,
    }
  } finally {
    undo()
    process.off('exit', undo)
    await gone(folders)
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
}

const common = (folder, node, ip) => [
  `--node-ip-address=${ip}`,
  `--temp-dir=${folder}`,
  `--resources={"gang_node_${node}":1}`,
  ...'--num-cpus=1 --object-store-memory=100000000 --disable-usage-stats --block'.split(' '),
  ...['--min-worker-port=0', '--max-worker-port=0'],
]

/** Settles with its pid when `ray start` says that its node is up. */
async function start(python, env, words) {
  const child = spawn(python, ['-m', 'ray.scripts.scripts', 'start', ...words], {
    detached: true,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  await new Promise((resolve, reject) => {
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += data
        if (output.includes('Ray runtime started')) resolve()
      })
    child.on('close', (code) => reject(new Error(`ray start ended with ${code}:\n${output.slice(-4000)}`)))
  })
  return child.pid
}

/** All that these `ray start` have started. */
function end(pids) {
  for (const pid of pids.splice(0)) {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {} // it has ended by itself
  }
}

const address = () =>
  Object.values(networkInterfaces())
    .flat()
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'

/** Ports that nobody listens on now. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0)
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => server.address().port)
  for (const server of servers) server.close()
  return ports
}

// The same cluster by metaflow-ray, in an environment of the bench's own, patched so that it runs on one machine at all.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findUv } from '../../scripts/python-env.mjs'
import { baseEnv } from '../lib/measure.mjs'
import { figures, pidsOf } from './processes.mjs'

const venv = new URL('../.peers/metaflow-ray', import.meta.url).pathname
const wanted = ['metaflow==2.19.39', 'metaflow-ray==0.1.5']
const flow = new URL('./metaflow_ray_flow.py', import.meta.url).pathname

/** How one is measured; undefined with the reason printed. */
export async function byMetaflow({ python: ray, nodes }) {
  if (await answers(6379)) {
    console.error('without metaflow-ray: its fixed port 6379 is taken, by another Ray or a Redis')
    return undefined
  }
  try {
    const python = await environment(ray)
    return () => measure({ python, ray, nodes })
  } catch (error) {
    console.error(`without metaflow-ray: ${error.message}`)
    return undefined
  }
}

async function environment(ray) {
  const python = join(venv, 'bin/python')
  const stamp = join(venv, 'has')
  if (existsSync(stamp)) return python
  const uv = await findUv(console.error)
  mkdirSync(dirname(venv), { recursive: true })
  console.error(`installing ${wanted.join(' and ')} for the bench`)
  const run = (...words) => execFileSync(uv, words, { stdio: ['ignore', 'inherit', 'inherit'] })
  run('venv', '--quiet', '--clear', '--python', ray, venv)
  run('pip', 'install', '--quiet', '--compile-bytecode', '--python', python, ...wanted)
  // Ray itself it takes from where ours is.
  const packages = (one) =>
    execFileSync(one, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], { encoding: 'utf8' }).trim()
  writeFileSync(join(packages(python), 'bench-ray.pth'), packages(ray))
  writeFileSync(stamp, '')
  return python
}

async function measure({ python, ray, nodes }) {
  const folder = mkdtempSync('/tmp/bench-ray-')
  const child = spawn(python, [flow, '--no-pylint', 'run', '--nodes', String(nodes)], {
    cwd: folder,
    env: {
      ...baseEnv,
      PATH: `${dirname(python)}:${dirname(ray)}:${process.env.PATH}`,
      METAFLOW_DATASTORE_SYSROOT_LOCAL: join(folder, 'metaflow'),
      METAFLOW_USER: 'bench',
      USERNAME: 'bench',
      TMPDIR: folder,
      RAY_TMPDIR: folder,
      RAY_AUTH_MODE: 'disabled',
      RAY_USAGE_STATS_ENABLED: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const kill = () => {
    for (const pid of pidsOf([folder])) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {} // it has ended by itself
    }
  }
  // Also when the bench is stopped: it leaves its Ray running, on ports that the next one wants.
  process.on('exit', kill)
  let output = ''
  let started
  let ready
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data
      if (/\/form\/.*Task is starting/.test(output)) started ??= performance.now()
      if (output.includes('all nodes are up')) ready ??= performance.now()
    })
  try {
    const code = await new Promise((resolve) => child.on('close', resolve))
    if (code === 0 && ready) return { [figures.ready]: ready - started }
    // Its nodes start all at once, and Ray gives each no more time for that than on a machine of its own.
    const why = /All `ray` nodes did not join.*/.exec(output)?.[0] ?? output.slice(-4000)
    console.error(`metaflow-ray did not form ${nodes} nodes (exit code ${code}): ${why}`)
    return {}
  } finally {
    for (; pidsOf([folder]).length > 0; await sleep(100)) kill()
    process.off('exit', kill)
    rmSync(folder, { recursive: true, force: true })
  }
}

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

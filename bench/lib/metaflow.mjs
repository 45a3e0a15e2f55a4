// Metaflow in an environment of the bench's own, pinned, from the Python index.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const home = new URL('../.venv/', import.meta.url).pathname
const version = '2.19.39'

/** Path of a Python that has Metaflow, or undefined with the reason printed. */
export function metaflowPython() {
  const python = join(home, 'bin/python')
  try {
    if (!existsSync(python)) execFileSync('python3', ['-m', 'venv', home], { stdio: 'inherit' })
    const has = execFileSync(python, ['-c', 'import importlib.util as u; print(u.find_spec("metaflow") is not None)'], {
      encoding: 'utf8',
    })
    if (has.trim() !== 'True') {
      console.error(`installing metaflow ${version} for the bench`)
      execFileSync(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', `metaflow==${version}`], {
        stdio: 'inherit',
      })
    }
    return python
  } catch (error) {
    console.error(`no Metaflow to compare with: ${error.message}\n  fix: ${python} -m pip install metaflow==${version}`)
    return undefined
  }
}

/** The environment that keeps its data out of the person's home. */
export const metaflowEnv = {
  // Its local gangs start `python` by name.
  PATH: `${join(home, 'bin')}:${process.env.PATH}`,
  METAFLOW_DATASTORE_SYSROOT_LOCAL: join(tmpdir(), 'gangflow-bench-metaflow'),
  METAFLOW_USER: 'bench',
  USERNAME: 'bench',
}

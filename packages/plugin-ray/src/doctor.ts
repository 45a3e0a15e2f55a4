import { GangflowError } from '@gangflow/core'
import { type DoctorCheck, type DoctorEnd, type DoctorPlace, memberPython } from '@gangflow/core/plugin'
import type { RayOptions } from './options.js'

const ask = `import platform, ray
print(f"Ray {ray.__version__}, Python {platform.python_version()}")`

/** `import ray` in the step's Python. */
export const rayCheck: DoctorCheck<RayOptions> = {
  name: 'ray',
  command: (about) => [...pythonFor(about), '-c', ask],
  judge,
  // Ray refuses nodes of another version of Ray or Python.
  alike: true,
  timeout: '2m',
}

const pythonFor = ({ options, python, flowDir }: DoctorPlace<RayOptions>): string[] =>
  memberPython(options.python ?? (flowDir === undefined ? python : undefined))

function judge({ exitCode, stdout, stderr }: DoctorEnd): string {
  if (exitCode === 0) return stdout.trim()
  const last = stderr.trim().split('\n').at(-1) ?? ''
  if (exitCode === 127)
    throw new GangflowError({
      code: 'E_RAY_PYTHON',
      what: `there is no such Python: ${last}`,
      fix: 'install Python there, or name an interpreter: python= in the hosts file, GANGFLOW_PYTHON',
    })
  throw new GangflowError({
    code: 'E_RAY_MISSING',
    what: /No module named '?ray/.test(stderr) ? 'its Python has no Ray' : `its Python cannot import ray: ${last}`,
    fix: "pip install 'ray[default]', or name an interpreter that has it: python= in the hosts file, GANGFLOW_PYTHON",
  })
}

import { GangflowError } from '@gangflow/core'
import type { DoctorCheck, DoctorEnd, DoctorPlace } from '@gangflow/core/plugin'
import type { TorchrunOptions } from './options.js'
import { findPython } from './python.js'

const ask = `import platform, torch
cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(f"torch {torch.__version__}, Python {platform.python_version()}, {cuda} CUDA devices")`

/** `import torch` in the step's Python, which takes seconds. */
export const torchCheck: DoctorCheck<TorchrunOptions> = {
  name: 'torch',
  command: (about) => [...pythonFor(about), '-c', ask],
  judge,
  alike: true,
  timeout: '2m',
}

/** Here, the interpreter that a body of this machine would take; on a host, the one that is named for it. */
function pythonFor({ options, python, flowDir }: DoctorPlace<TorchrunOptions>): string[] {
  const asked = typeof options.python === 'string' ? [options.python] : options.python
  if (flowDir !== undefined) return findPython(asked, flowDir, process.env)
  return [...(asked ?? (python === undefined ? ['sh', '-c', choose, 'python3'] : [python]))]
}

/** What a body of the host would take; with arguments it is that interpreter. */
const choose = `exec "\${GANGFLOW_PYTHON:-$(command -v "\${VIRTUAL_ENV:-/none}/bin/python" || command -v python3 || echo python)}" "$@"`

function judge({ exitCode, stdout, stderr }: DoctorEnd, about: DoctorPlace<TorchrunOptions>): string {
  if (exitCode === 0) return stdout.trim()
  const command = pythonFor(about)
  const python = command[0] === 'sh' ? 'python3' : command.join(' ')
  const last = stderr.trim().split('\n').at(-1) ?? ''
  if (/No module named '?torch/.test(stderr))
    throw new GangflowError({
      code: 'E_TORCH_MISSING',
      what: `${python} has no torch`,
      fix: `${python} -m pip install torch; or name an interpreter that has it: python= in the hosts file, GANGFLOW_PYTHON`,
    })
  if (/ENOENT|EACCES|python: (?:command )?not found/.test(last))
    throw new GangflowError({
      code: 'E_TORCH_PYTHON',
      what: `there is no interpreter ${python}`,
      fix: 'install Python 3.10 or newer there, or name an interpreter: python= in the hosts file, GANGFLOW_PYTHON',
    })
  throw new GangflowError({
    code: 'E_TORCH_MISSING',
    what: `${python} cannot import torch: ${last === '' ? `exit code ${exitCode}` : last}`,
    fix: `see there: ${python} -c 'import torch'`,
  })
}

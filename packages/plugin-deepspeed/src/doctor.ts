import { GangflowError } from '@gangflow/core'
import { type DoctorCheck, memberPython } from '@gangflow/core/plugin'
import type { DeepSpeedOptions } from './options.js'

/** Its import tells on standard output what it has found, which is not asked for. */
const ask = `import contextlib, os, platform, shutil, sys
with contextlib.redirect_stdout(sys.stderr):
    import torch, deepspeed
compiler = shutil.which(os.environ.get("CXX", "c++")) and shutil.which("ninja")
print(f"DeepSpeed {deepspeed.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
      + ("a C++ compiler and ninja" if compiler else "no C++ compiler or no ninja: its operations are left out"))`

/** `import deepspeed` in the step's Python, which takes seconds. */
export const deepspeedCheck: DoctorCheck<DeepSpeedOptions> = {
  name: 'deepspeed',
  command: ({ options, python, flowDir }) => [
    ...memberPython(options.python ?? (flowDir === undefined ? python : undefined)),
    '-c',
    ask,
  ],
  judge({ exitCode, stdout, stderr }) {
    if (exitCode === 0) return stdout.trim()
    throw new GangflowError({
      code: 'E_DEEPSPEED_MISSING',
      what: `its Python cannot import deepspeed: ${stderr.trim().split('\n').at(-1) ?? ''}`,
      fix: 'pip install deepspeed, or name an interpreter that has it: python= in the hosts file, GANGFLOW_PYTHON',
    })
  },
  alike: true,
  timeout: '2m',
}

import { GangflowError } from '@gangflow/core'
import { type DoctorCheck, memberPython } from '@gangflow/core/plugin'
import type { DaskOptions } from './options.js'

const ask = `import platform, distributed
print(f"Dask {distributed.__version__}, Python {platform.python_version()}")`

/** `import distributed` in the step's Python; clients and workers of different versions do not understand each other. */
export const daskCheck: DoctorCheck<DaskOptions> = {
  name: 'dask',
  command: ({ options, python, flowDir }) => [
    ...memberPython(options.python ?? (flowDir === undefined ? python : undefined)),
    '-c',
    ask,
  ],
  judge({ exitCode, stdout, stderr }) {
    if (exitCode === 0) return stdout.trim()
    throw new GangflowError({
      code: 'E_DASK_MISSING',
      what: `its Python cannot import distributed: ${stderr.trim().split('\n').at(-1) ?? ''}`,
      fix: "pip install 'dask[distributed]', or name an interpreter that has it: python= in the hosts file, GANGFLOW_PYTHON",
    })
  },
  alike: true,
  timeout: '2m',
}

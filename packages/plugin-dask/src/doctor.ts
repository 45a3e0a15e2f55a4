import { pythonCheck } from '@gangflow/core/plugin'
import type { DaskOptions } from './options.js'

const ask = `import platform, distributed
print(f"Dask {distributed.__version__}, Python {platform.python_version()}")`

/** `import distributed` in the step's Python; clients and workers of different versions do not understand each other. */
export const daskCheck = pythonCheck<DaskOptions>({
  name: 'dask',
  ask,
  module: 'distributed',
  code: 'E_DASK_MISSING',
  install: "pip install 'dask[distributed]'",
})

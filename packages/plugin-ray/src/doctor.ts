import { pythonCheck } from '@gangflow/core/plugin'
import type { RayOptions } from './options.js'

const ask = `import platform, ray
print(f"Ray {ray.__version__}, Python {platform.python_version()}")`

/** `import ray` in the step's Python. */
export const rayCheck = pythonCheck<RayOptions>({
  name: 'ray',
  ask,
  module: 'ray',
  code: 'E_RAY_MISSING',
  install: "pip install 'ray[default]'",
})

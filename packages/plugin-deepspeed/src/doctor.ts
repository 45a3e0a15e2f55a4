import { pythonCheck } from '@gangflow/core/plugin'
import type { DeepSpeedOptions } from './options.js'

/** Its import tells on standard output what it has found, which is not asked for. */
const ask = `import contextlib, os, platform, shutil, sys
with contextlib.redirect_stdout(sys.stderr):
    import torch, deepspeed
compiler = shutil.which(os.environ.get("CXX", "c++")) and shutil.which("ninja")
print(f"DeepSpeed {deepspeed.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
      + ("a C++ compiler and ninja" if compiler else "no C++ compiler or no ninja: its operations are left out"))`

/** `import deepspeed` in the step's Python, which takes seconds. */
export const deepspeedCheck = pythonCheck<DeepSpeedOptions>({
  name: 'deepspeed',
  ask,
  module: 'deepspeed',
  code: 'E_DEEPSPEED_MISSING',
  install: 'pip install deepspeed',
})

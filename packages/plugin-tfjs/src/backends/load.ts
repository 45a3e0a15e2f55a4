import { createRequire } from 'node:module'
import { GangflowError } from '@gangflow/core'
import { registerKernels } from '../kernels.js'
import { type BackendName, backends } from './names.js'
import { findPackages } from './packages.js'
import { prepareNode, withoutAdvice } from './shim.js'
import type { Tf } from './tf.js'

/**
 * Makes a backend this thread's, for the program in that folder: the same TensorFlow.js that its imports give. The wasm
 * backend gets what it lacks to train. Errors: `E_TF_MISSING`, `E_TF_COPIES`, `E_TF_BACKEND` (not installed),
 * `E_TF_FELL_BACK`.
 */
export async function loadBackend(folder: string, name: BackendName): Promise<Tf> {
  const packages = findPackages(folder, name)
  const require = createRequire(packages.tfjs)
  const { registered, package: wanted } = backends[name]
  if (packages.backend === undefined)
    throw new GangflowError({
      code: 'E_TF_BACKEND',
      what: `the backend ${name} needs ${wanted}, which is not installed`,
      fix:
        name === 'tfjs-node'
          ? `npm install ${wanted}; where it cannot be had: npx gangflow-tfjs-node`
          : `npm install ${wanted}`,
    })
  prepareNode()
  const tf = require(packages.tfjs) as Tf
  let cause: unknown
  try {
    require(packages.backend)
    if (name === 'wasm') registerKernels(tf)
    await tf.setBackend(registered)
    await tf.ready()
  } catch (error) {
    cause = error
  }
  if (cause === undefined && tf.getBackend() === registered) {
    if (name === 'cpu') withoutAdvice(tf)
    return tf
  }
  throw new GangflowError(
    {
      code: 'E_TF_FELL_BACK',
      what: `the backend ${name} could not be begun${cause instanceof Error ? `: ${firstLine(cause.message)}` : ''}; TensorFlow.js ${tf.getBackend() ? `went on with ${tf.getBackend()}` : 'has none'}`,
      fix:
        name === 'wasm'
          ? `see that the .wasm files lie where the program says (setWasmPaths), by default beside ${packages.backend}`
          : `see why: node -e "require('${packages.backend}')"`,
    },
    { cause },
  )
}

const firstLine = (text: string) => text.trim().split('\n')[0] ?? ''

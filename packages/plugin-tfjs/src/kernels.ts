import { GangflowError } from '@gangflow/core'
import type { NamedAttrMap, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs'
import type { Tf } from './backends/tf.js'
import { batchMatMul } from './kernels/batch-mat-mul.js'
import { conv2DBackpropFilter } from './kernels/conv2d-backprop-filter.js'
import { conv2DBackpropInput } from './kernels/conv2d-backprop-input.js'
import { depthwiseBackpropFilter, depthwiseBackpropInput } from './kernels/depthwise.js'
import { Machine, type WasmBackend } from './kernels/machine.js'
import { maxPoolGrad } from './kernels/max-pool-grad.js'
import { unsortedSegmentSum } from './kernels/unsorted-segment-sum.js'

/** `stock` is the backend's own of that name, where it has one. */
type Kernel = (
  machine: Machine,
  inputs: NamedTensorInfoMap,
  attrs: NamedAttrMap,
  stock: (inputs: NamedTensorInfoMap) => TensorInfo,
) => TensorInfo

const kernels: Record<string, Kernel> = {
  Conv2DBackpropFilter: conv2DBackpropFilter as unknown as Kernel,
  Conv2DBackpropInput: conv2DBackpropInput as unknown as Kernel,
  DepthwiseConv2dNativeBackpropFilter: depthwiseBackpropFilter as unknown as Kernel,
  DepthwiseConv2dNativeBackpropInput: depthwiseBackpropInput as unknown as Kernel,
  MaxPoolGrad: maxPoolGrad as unknown as Kernel,
  UnsortedSegmentSum: unsortedSegmentSum as unknown as Kernel,
  BatchMatMul: batchMatMul as unknown as Kernel,
}

const registered = new WeakSet<object>()

/**
 * Gives the wasm backend what it lacks to train: the gradients of convolutions, depthwise convolutions and `gather`,
 * and a product of matrices that is as fast transposed and in batches. Call it after importing
 * `@tensorflow/tfjs-backend-wasm`; calling it again changes nothing. Needs no gang.
 */
export function registerKernels(tf: Tf): void {
  if (tf.findBackendFactory('wasm') === null)
    throw new GangflowError({
      code: 'E_TF_KERNELS',
      what: 'there is no wasm backend to give kernels to',
      fix: "import '@tensorflow/tfjs-backend-wasm' first, the copy that uses this @tensorflow/tfjs",
    })
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    const present = tf.getKernel(kernelName, 'wasm')
    if (present && registered.has(present)) continue
    // Registering over another would print a warning.
    if (present) tf.unregisterKernel(kernelName, 'wasm')
    const config = {
      kernelName,
      backendName: 'wasm',
      ...(present?.setupFunc ? { setupFunc: present.setupFunc } : {}),
      kernelFunc: (call: { inputs: NamedTensorInfoMap; backend: unknown; attrs?: NamedAttrMap }) => {
        const machine = new Machine(tf, call.backend as WasmBackend)
        let failed = true
        try {
          const plain = { transposeA: false, transposeB: false }
          const stock = (inputs: NamedTensorInfoMap) =>
            present?.kernelFunc({ inputs, backend: call.backend as object, attrs: plain }) as TensorInfo
          const result = kernel(machine, call.inputs, call.attrs ?? {}, stock)
          failed = false
          return result
        } finally {
          machine.end(failed)
        }
      },
    }
    registered.add(config)
    tf.registerKernel(config)
  }
}

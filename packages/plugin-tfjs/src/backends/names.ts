/** `tfjs-node`: TensorFlow itself, by `@tensorflow/tfjs-node`; `wasm`: WebAssembly with SIMD, one core; `cpu`: plain JavaScript. */
export type BackendName = 'tfjs-node' | 'wasm' | 'cpu'

/** Best first. */
export const backendNames: readonly BackendName[] = ['tfjs-node', 'wasm', 'cpu']

/** What TensorFlow.js calls it, and the package that brings it. */
export const backends: Record<BackendName, { registered: string; package: string }> = {
  'tfjs-node': { registered: 'tensorflow', package: '@tensorflow/tfjs-node' },
  wasm: { registered: 'wasm', package: '@tensorflow/tfjs-backend-wasm' },
  cpu: { registered: 'cpu', package: '@tensorflow/tfjs' },
}

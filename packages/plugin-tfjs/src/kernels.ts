/** Kernels that the wasm backend lacks. */
export {}

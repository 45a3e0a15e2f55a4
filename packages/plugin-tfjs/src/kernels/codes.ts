/** Codes of the kernels. */
export const kernelCodes = {
  E_TF_KERNELS: 'there is no wasm backend that the kernels could be given to',
  E_TF_WASM_MEMORY: 'the memory of the wasm backend is full',
  E_TF_SEGMENT_IDS: 'segment ids are not one for each row of the values',
} as const

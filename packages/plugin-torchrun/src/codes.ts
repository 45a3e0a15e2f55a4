/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-torchrun`. */
export const codes = {
  E_TORCH_OPTION: 'an option of @torchrun or current.torch.run is wrong',
  E_TORCH_PYTHON: 'there is no such Python interpreter on the member',
  E_TORCH_MISSING: 'the interpreter has no torch',
  E_TORCH_SCRIPT: 'the entry point of current.torch.run does not exist on the member',
  E_TORCH_MISMATCH: 'the members called current.torch.run differently',
  E_TORCH_START: 'not every member called current.torch.run in time',
  E_TORCH_AWAIT: 'a step ended while its current.torch.run was still running',
  E_TORCH_PORT: 'the port of the ranks’ store is in use',
  E_TORCH_RANK: 'a rank failed',
  E_TORCH_STOPPED: 'a rank was stopped by a signal, and nobody continued it',
  E_TORCH_TIMEOUT: 'the ranks ran longer than `timeout`',
} as const

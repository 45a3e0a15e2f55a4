/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-deepspeed`. */
export const codes = {
  E_DEEPSPEED_OPTION: 'an option of @deepspeed or current.deepspeed.run is wrong',
  E_DEEPSPEED_MISSING: 'the interpreter has no DeepSpeed, or there is none',
  E_DEEPSPEED_OPS: 'an operation that `ops` names could not be compiled',
  E_DEEPSPEED_AWAIT: 'a step ended while its current.deepspeed.run was still running',
} as const

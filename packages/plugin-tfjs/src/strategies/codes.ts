/** Codes of the strategies and of `@tensorflow`. */
export const strategyCodes = {
  E_TF_DECORATOR: 'an option of @tensorflow or of a strategy is wrong',
  E_TF_MODEL: 'the ranks have different models, or different optimizers',
  E_TF_FIT: 'the ranks called fit with different data or options',
  E_TF_OPTIMIZER: 'an optimizer that parameter servers cannot share among them',
  E_TF_NAN: 'a gradient is not finite',
  E_TF_CHECKPOINT: 'a checkpoint is of another model',
  E_TF_MODEL_FORMAT: 'a model was saved in a format of another version',
  E_TF_AWAIT: 'a step ended while its training was still running',
} as const

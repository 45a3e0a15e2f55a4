/** Codes of the collectives. */
export const collectiveCodes = {
  E_TF_VALUES: 'what was given to a collective cannot be sent or reduced',
  E_TF_CALL_MISMATCH: 'the ranks called different collectives, or with different lengths or kinds',
  E_TF_RANK_LOST: 'a rank died, or its host is gone, before a collective was done',
  E_TF_RANK_LEFT: 'a rank closed its collectives before a call of another',
  E_TF_CALL_TIMEOUT: 'a collective was not done in time',
  E_TF_CALL_ABORTED: 'a rank gave a collective up',
  E_TF_CLOSED: 'collectives were used after `close()`',
  E_TF_CONNECT: 'not every rank could be reached in time',
  E_TF_SECRET: "who answers at a rank's address does not hold the gang's secret",
  E_TF_VERSION: 'the ranks have different versions of this package',
  E_TF_OPTIONS: 'an option of `connect` is wrong',
  E_TF_WORKER: 'the thread of the collectives failed',
  E_TF_MPI: 'MPI, or the way to call it, is not there or failed',
  E_TF_MEMORY: 'there is not enough memory for what the collectives exchange',
} as const

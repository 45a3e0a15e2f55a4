/** Codes of `MirroredStrategy`. */
export const mirroredCodes = {
  E_TF_MIRRORED: 'a model, or a call, that MirroredStrategy cannot share among its replicas',
  E_TF_REPLICA: 'a replica of MirroredStrategy failed, or its thread died',
} as const

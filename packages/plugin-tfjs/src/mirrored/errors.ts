import { GangflowError } from '@gangflow/core'
import type { Model } from '../strategies/model.js'

export const mirroredError = (what: string, fix: string): GangflowError =>
  new GangflowError({ code: 'E_TF_MIRRORED', what, fix })

/** Of a model that the other replicas do not have. */
export const elsewhere = ({ name }: Model, what: string, fix: string): GangflowError =>
  mirroredError(`model '${name.replace(/_model$/, '')}' ${what}`, fix)

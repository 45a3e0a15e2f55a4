import { collectiveCodes } from './collectives/codes.js'
import { kernelCodes } from './kernels/codes.js'

/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-tfjs`. */
export const codes = { ...collectiveCodes, ...kernelCodes } as const

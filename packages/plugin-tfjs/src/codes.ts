import { backendCodes } from './backends/codes.js'
import { collectiveCodes } from './collectives/codes.js'
import { kernelCodes } from './kernels/codes.js'
import { mirroredCodes } from './mirrored/codes.js'
import { strategyCodes } from './strategies/codes.js'

/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-tfjs`. */
export const codes = {
  ...backendCodes,
  ...collectiveCodes,
  ...kernelCodes,
  ...strategyCodes,
  ...mirroredCodes,
} as const

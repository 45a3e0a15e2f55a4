import { collectiveCodes } from './collectives/codes.js'

/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-tfjs`. */
export const codes = { ...collectiveCodes } as const

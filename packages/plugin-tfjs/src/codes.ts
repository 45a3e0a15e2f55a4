/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-tfjs`. */
export const codes = {} as const

import { GangflowError } from '../errors/base.js'

/** Refuses options that a backend does not have. */
export function refuseUnknown(
  backend: string,
  options: Readonly<Record<string, unknown>>,
  known: readonly string[],
): void {
  const unknown = Object.keys(options).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  throw new GangflowError({
    code: 'E_OPTION',
    what: `backend '${backend}' has no option ${unknown.map((name) => `'${name}'`).join(', ')}`,
    fix: known.length === 0 ? 'it has none' : `its options are ${known.join(', ')}`,
  })
}

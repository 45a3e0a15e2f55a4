import { GangflowError } from '@gangflow/core'

/** An option that is not what it may be. */
export function wrong(where: string, name: string, value: unknown, wanted: string, cause?: unknown): GangflowError {
  let shown: string
  try {
    shown = (JSON.stringify(value) ?? String(value)).slice(0, 200)
  } catch {
    shown = String(value).slice(0, 200)
  }
  return new GangflowError(
    { code: 'E_DASK_OPTION', what: `${where}: ${name} is ${shown}`, fix: `give ${wanted}` },
    { cause },
  )
}

export function onlyKnown(where: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw wrong(where, 'its argument', given, `an object with ${known.join(', ')}`)
  for (const name of Object.keys(given)) {
    if (!known.includes(name))
      throw new GangflowError({
        code: 'E_DASK_OPTION',
        what: `${where} has no option '${name}'`,
        fix: `its options are ${known.join(', ')}`,
      })
  }
}

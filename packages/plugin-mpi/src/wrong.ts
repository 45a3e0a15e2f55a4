import { GangflowError } from '@gangflow/core'

/** An option that is not what it may be. */
export function wrong(where: string, name: string, value: unknown, wanted: string, cause?: unknown): GangflowError {
  return new GangflowError(
    { code: 'E_MPI_OPTION', what: `${where}: ${name} is ${show(value)}`, fix: `give ${wanted}` },
    { cause },
  )
}

export function onlyKnown(where: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name))
      throw new GangflowError({
        code: 'E_MPI_OPTION',
        what: `${where} has no option '${name}'`,
        fix: `its options are ${known.join(', ')}`,
      })
  }
}

/** A value in an error's sentence. */
function show(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 200)
  } catch {
    return String(value).slice(0, 200)
  }
}

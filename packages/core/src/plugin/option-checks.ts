import { GangflowError } from '../errors/base.js'
import { type Duration, milliseconds } from '../errors/duration.js'

/** Checks of a plugin's options. `where` is what the person wrote, such as `current.torch.run`; all errors have the plugin's code. */
export interface OptionChecks {
  /** The error of an option that is not what it may be: `WHERE: NAME is VALUE; give WANTED`. */
  wrong(where: string, name: string, value: unknown, wanted: string, cause?: unknown): GangflowError
  /** Throws unless `given` is an object with no other names than these. */
  onlyKnown(where: string, given: unknown, known: readonly string[]): void
  /** Milliseconds; throws unless it is a duration or left out. */
  duration(where: string, name: string, value: Duration | undefined): number | undefined
  /** The words of an interpreter, given as one or as a list; throws when they are none. */
  interpreter(where: string, name: string, value: string | readonly string[] | undefined): readonly string[] | undefined
}

/** The checks of one plugin, whose errors have this code. */
export function optionChecks({ code }: { readonly code: string }): OptionChecks {
  const wrong: OptionChecks['wrong'] = (where, name, value, wanted, cause) =>
    new GangflowError({ code, what: `${where}: ${name} is ${show(value)}`, fix: `give ${wanted}` }, { cause })
  return {
    wrong,
    onlyKnown(where, given, known) {
      if (typeof given !== 'object' || given === null || Array.isArray(given))
        throw wrong(where, 'its argument', given, `an object with ${known.join(', ')}`)
      for (const name of Object.keys(given)) {
        if (known.includes(name)) continue
        throw new GangflowError({
          code,
          what: `${where} has no option '${name}'`,
          fix: `its options are ${known.join(', ')}`,
        })
      }
    },
    duration(where, name, value) {
      if (value === undefined) return undefined
      try {
        return milliseconds(value)
      } catch (cause) {
        throw wrong(where, name, value, "a number of milliseconds, or text such as '90s'", cause)
      }
    },
    interpreter(where, name, value) {
      if (value === undefined) return undefined
      const words = typeof value === 'string' ? [value] : value
      if (!Array.isArray(words) || words.length === 0 || words.some((word) => typeof word !== 'string' || word === ''))
        throw wrong(where, name, value, "an interpreter, or a list such as ['python3', '-X', 'dev']")
      return words
    },
  }
}

function show(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 200)
  } catch {
    return String(value).slice(0, 200)
  }
}

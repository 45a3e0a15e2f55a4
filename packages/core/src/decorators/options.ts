import { GangflowError } from '../errors/base.js'
import { show } from '../errors/show.js'

/** The options given to a decorator factory, checked: a plain object with known names. */
export function checkOptions<O extends object>(
  decorator: string,
  given: readonly unknown[],
  valid: readonly (keyof O & string)[] | undefined,
): O {
  const [options = {}] = given
  // `@retry` without its call hands the factory what a decorator gets.
  if (given.length > 1 || typeof options === 'function')
    throw new GangflowError({
      code: 'E_DECORATOR_BARE',
      what: `${decorator} was used without its call`,
      fix: `write ${decorator}() or ${decorator}({ … })`,
    })
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw badOption(decorator, `takes an object of options, not ${show(options)}`, valid)
  const unknown = valid && Object.keys(options).filter((name) => !(valid as readonly string[]).includes(name))
  if (unknown && unknown.length > 0)
    throw badOption(decorator, `has no option ${unknown.map((name) => `'${name}'`).join(', ')}`, valid)
  return options as O
}

/** A named error about an option's value. */
export function badOption(decorator: string, problem: string, valid?: readonly string[]): GangflowError {
  return new GangflowError({
    code: 'E_DECORATOR_OPTION',
    what: `${decorator} ${problem}`,
    fix: valid === undefined ? undefined : valid.length > 0 ? `valid options: ${valid.join(', ')}` : 'it takes none',
  })
}

/** A whole number within bounds, or a named error. */
export function wholeNumber(decorator: string, name: string, value: unknown, least: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least)
    throw badOption(decorator, `needs ${name} to be a whole number >= ${least}, not ${show(value)}`)
  return value
}

/** A positive number, or a named error. */
export function positive(decorator: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
    throw badOption(decorator, `needs ${name} to be a number > 0, not ${show(value)}`)
  return value
}

import { GangflowError } from '../errors/base.js'

/** What somebody asked for by a name that is not there; the fix lists what is. */
export function notFound(what: string, known: readonly string[], where: string): GangflowError {
  const shown = known.slice(0, 20).join(', ')
  return new GangflowError({
    code: 'E_NOT_FOUND',
    what: `there is no ${what} in ${where}`,
    fix:
      known.length === 0
        ? 'nothing is there yet: check the location of the datastore'
        : `there are: ${shown}${known.length > 20 ? `, and ${known.length - 20} more` : ''}`,
  })
}

/** Orders numbers as numbers, and anything else as text. */
export function byNumber(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)]
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y
  return a < b ? -1 : a > b ? 1 : 0
}

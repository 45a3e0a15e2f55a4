import { type Duration, milliseconds } from '../errors/duration.js'
import { show } from '../errors/show.js'
import type { GangTimeouts } from '../flow/description.js'
import { badOption } from './options.js'

/** How long a gang waits for what: any of `GangTimeouts`, as durations. */
export type GangTimeoutOptions = { readonly [K in keyof GangTimeouts]?: Duration }

/** The least milliseconds of each; fewer would end gangs that are well. */
const least: Readonly<Record<keyof GangTimeouts, number>> = {
  provision: 1,
  join: 1,
  setup: 1,
  teardown: 1,
  progress: 1,
  collective: 1,
  lease: 500,
  launcher: 500,
  settle: 0,
  stopGrace: 0,
  linger: 0,
}
/** Of a timer: about 24 days. */
const LONGEST = 2 ** 31 - 1

/** As milliseconds; throws a named error on an unknown name or a length that cannot be meant. */
export function gangTimeouts(source: string, given: unknown): Partial<GangTimeouts> {
  const names = Object.keys(least)
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw badOption(source, `needs timeouts to be an object such as { join: '2m' }, not ${show(given)}`)
  const checked: Record<string, number> = {}
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!names.includes(name)) throw badOption(source, `has no timeout '${name}'`, names)
    const ms = milliseconds(value as Duration)
    const low = least[name as keyof GangTimeouts]
    if (ms < low) throw badOption(source, `needs the timeout ${name} to be at least ${low} ms, not ${show(value)}`)
    checked[name] = Math.min(ms, LONGEST)
  }
  return checked
}

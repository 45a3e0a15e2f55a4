import picocolors from 'picocolors'

/** Colours, or none: `--color`/`--no-color`, then NO_COLOR and FORCE_COLOR, then whether it is a terminal. */
export type Style = ReturnType<typeof picocolors.createColors>

/** The style for a stream under the options given. */
export function styleOf(stream: NodeJS.WriteStream, args: Readonly<Record<string, unknown>>): Style {
  return picocolors.createColors(wantsColour(stream, args))
}

function wantsColour(stream: NodeJS.WriteStream, args: Readonly<Record<string, unknown>>): boolean {
  if (typeof args['color'] === 'boolean') return args['color']
  if (process.env['NO_COLOR']) return false
  if (process.env['FORCE_COLOR']) return process.env['FORCE_COLOR'] !== '0'
  return stream.isTTY === true && process.env['TERM'] !== 'dumb'
}

const palette = ['cyan', 'magenta', 'yellow', 'green', 'blue', 'cyanBright', 'magentaBright', 'yellowBright'] as const

/** A colour that stays with a name. */
export function hue(style: Style, name: string): (text: string) => string {
  let sum = 0
  for (const letter of name) sum = (sum * 31 + letter.charCodeAt(0)) >>> 0
  return style[palette[sum % palette.length]!]
}

/** `15:04:05.123` of this machine's clock. */
export function clock(at: number): string {
  const date = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** `2026-11-21 15:04:05` of this machine's clock. */
export function dateTime(at: number): string {
  const date = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(at).slice(0, 8)}`
}

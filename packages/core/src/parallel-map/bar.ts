import type { MapProgress } from './contract.js'

/** What a bar needs of a terminal. */
export interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

const widest = 40
/** A terminal has room for one bar at its foot: the first map that asked has it. */
const drawing = new WeakMap<Terminal, Bar>()

/** One line on a terminal that is drawn over itself. */
export class Bar {
  readonly #terminal: Terminal

  private constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Undefined where nobody sees it. */
  static on(terminal: Terminal): Bar | undefined {
    return terminal.isTTY && process.env['TERM'] !== 'dumb' ? new Bar(terminal) : undefined
  }

  draw(progress: MapProgress): void {
    const owner = drawing.get(this.#terminal)
    if (owner !== undefined && owner !== this) return
    drawing.set(this.#terminal, this)
    this.#terminal.write(`\r\x1b[K${barText(progress, this.#terminal.columns || 80)}${progress.ended ? '\n' : ''}`)
    if (progress.ended) drawing.delete(this.#terminal)
  }
}

/** `tokenize  45% ━━━━━━━━━╺────────── 230/512  42/s  0:05 left 0:06  2 failed` */
export function barText(progress: MapProgress, columns: number): string {
  const { done, failed, total, elapsed, rate, eta, ended } = progress
  const part = total === undefined || total === 0 ? undefined : done / total
  const after = [
    total === undefined ? `${done}` : `${done}/${total}`,
    `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/s`,
    clock(elapsed),
    !ended && eta !== undefined ? `left ${clock(eta)}` : undefined,
    failed > 0 ? `${failed} failed` : undefined,
  ]
    .filter(Boolean)
    .join('  ')
  const label = nameOf(progress.label, Math.max(8, columns - after.length - '100%'.length - 3))
  const before = [label, part === undefined ? undefined : `${Math.floor(part * 100)}%`].filter(Boolean).join(' ')
  const room = Math.min(widest, columns - widthOf(before) - after.length - 3)
  const bar = part === undefined || room < 5 ? '' : `${'━'.repeat(Math.round(part * room)).padEnd(room, '─')} `
  return cut(`${before === '' ? '' : `${before} `}${bar}${after}`, columns - 1)
}

/** A label on one line, of so many columns. */
function nameOf(label: string | undefined, most: number): string | undefined {
  const line = label?.replace(/\p{Cc}+/gu, ' ').trim()
  return line === undefined || widthOf(line) <= most ? line : `${cut(line, most - 1)}…`
}

function cut(text: string, most: number): string {
  let width = 0
  let kept = ''
  for (const sign of text) {
    width += widthOf(sign)
    if (width > most) break
    kept += sign
  }
  return kept
}

const wide =
  /[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u

/** Columns that a text takes on a terminal. */
function widthOf(text: string): number {
  let width = 0
  for (const sign of text) width += wide.test(sign) ? 2 : /[\p{M}\u200d]/u.test(sign) ? 0 : 1
  return width
}

function clock(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  const rest = String(seconds % 60).padStart(2, '0')
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`
}

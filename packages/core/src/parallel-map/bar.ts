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
    return terminal.isTTY ? new Bar(terminal) : undefined
  }

  draw(progress: MapProgress): void {
    const owner = drawing.get(this.#terminal)
    if (owner !== undefined && owner !== this) return
    drawing.set(this.#terminal, this)
    this.#terminal.write(`\r\x1b[K${barText(progress, this.#terminal.columns ?? 80)}${progress.ended ? '\n' : ''}`)
    if (progress.ended) drawing.delete(this.#terminal)
  }
}

/** `tokenize  45% ━━━━━━━━━╺────────── 230/512  42/s  0:05 left 0:06  2 failed` */
export function barText(progress: MapProgress, columns: number): string {
  const { label, done, failed, total, elapsed, rate, eta, ended } = progress
  const part = total === undefined || total === 0 ? undefined : done / total
  const before = [label, part === undefined ? undefined : `${Math.floor(part * 100)}%`].filter(Boolean).join(' ')
  const after = [
    total === undefined ? `${done}` : `${done}/${total}`,
    `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/s`,
    clock(elapsed),
    !ended && eta !== undefined ? `left ${clock(eta)}` : undefined,
    failed > 0 ? `${failed} failed` : undefined,
  ]
    .filter(Boolean)
    .join('  ')
  const room = Math.min(widest, columns - before.length - after.length - 3)
  const bar = part === undefined || room < 5 ? '' : `${'━'.repeat(Math.round(part * room)).padEnd(room, '─')} `
  return `${before === '' ? '' : `${before} `}${bar}${after}`.slice(0, Math.max(0, columns - 1))
}

function clock(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  const rest = String(seconds % 60).padStart(2, '0')
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`
}

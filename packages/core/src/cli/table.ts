import CliTable from 'cli-table3'
import type { Style } from './style.js'

/** Columns without borders, for people; programs use `--json`. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], style: Style): string {
  const bare = [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
  ]
  const none = [...bare, 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'].map((side) => [side, ''])
  const cells = new CliTable({
    chars: { ...Object.fromEntries(none), middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  cells.push(
    head.map((title) => style.dim(title)),
    ...rows.map((row) => [...row]),
  )
  return cells
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

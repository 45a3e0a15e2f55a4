/** A curve for a terminal: `height` lines, one column a value; the first value's height is the full one. */
export function curve(values: readonly number[], height = 8): string[] {
  const steps = ' ▁▂▃▄▅▆▇█'
  const most = Math.max(...values)
  const eighths = values.map((value) => Math.round((value / most) * height * 8))
  return Array.from({ length: height }, (_, row) => {
    const below = (height - 1 - row) * 8
    const label = row === 0 ? most.toFixed(2) : row === height - 1 ? (0).toFixed(2) : ''
    const columns = eighths.map((eighth) => steps[Math.min(8, Math.max(0, eighth - below))]!.repeat(2))
    return `${label.padStart(6)} │${columns.join('')}`
  })
}

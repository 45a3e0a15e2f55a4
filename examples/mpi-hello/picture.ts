/** What was measured between two members. */
export interface Pair {
  readonly from: number
  readonly to: number
  /** Of a message of 8 bytes, one way. */
  readonly microseconds: number
  /** A second, by messages of 1 MiB. */
  readonly megabytes: number
}

const shades = ['░', '▒', '▓', '█']
const width = 11

/** A table of all pairs: latency above the diagonal, bandwidth below, each cell the darker the better it is. */
export function draw(hosts: readonly string[], pairs: readonly Pair[]): string[] {
  const names = hosts.map((host, node) => `${node} ${host}`.slice(0, width))
  const latencies = pairs.map(({ microseconds }) => microseconds)
  const rates = pairs.map(({ megabytes }) => megabytes)
  const cell = (row: number, column: number): string => {
    const pair = pairs.find(({ from, to }) => from === Math.min(row, column) && to === Math.max(row, column))
    if (!pair) return '·'.padStart(width)
    const { microseconds, megabytes } = pair
    return row < column
      ? marked(
          `${microseconds.toFixed(1)} µs`,
          shade(
            1 / microseconds,
            latencies.map((one) => 1 / one),
          ),
        )
      : marked(`${megabytes.toFixed(0)} MB/s`, shade(megabytes, rates))
  }
  return [
    'above the diagonal: latency, below: bandwidth; the darker the better',
    ['', ...names].map((name) => name.padStart(width)).join(' '),
    ...names.map((name, row) => [name.padStart(width), ...names.map((_, column) => cell(row, column))].join(' ')),
  ]
}

/** Where a value is between the least and the greatest. */
function shade(value: number, all: readonly number[]): string {
  const [least, greatest] = [Math.min(...all), Math.max(...all)]
  const place = greatest > least ? (value - least) / (greatest - least) : 1
  return shades[Math.round(place * (shades.length - 1))]!
}

const marked = (text: string, mark: string): string => `${mark} ${text.padStart(width - 2)}`

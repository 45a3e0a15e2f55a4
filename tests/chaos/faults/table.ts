import type { Expected, Fault } from './faults.js'
import type { Outcome } from './perform.js'
import type { Place } from './scene.js'

/** A row as plain data: what is awaited, and what was measured last (milliseconds). */
export interface Row {
  readonly fault: string
  readonly what: string
  readonly phases: string
  readonly awaited: string
  readonly bound: string
  readonly worst: Readonly<Partial<Record<Place, number>>>
  readonly places: readonly Place[]
}

/** The rows of all faults. */
export function rowsOf(faults: readonly Fault[], outcomes: readonly Outcome[]): Row[] {
  return faults.map(({ id, what, places, phases, expected }) => ({
    fault: id,
    what,
    phases: phases.join(', '),
    places,
    awaited: awaitedOf(expected),
    bound: boundOf(expected),
    worst: Object.fromEntries(
      places.flatMap((place) => {
        const took = outcomes.flatMap((one) => (one.fault === id && one.place === place ? (one.endedMs ?? []) : []))
        return took.length > 0 ? [[place, Math.max(...took)]] : []
      }),
    ),
  }))
}

function awaitedOf({ cause, codes, exit, node, kind }: Expected): string {
  if (exit === 0) return 'the run is done; exit 0'
  if (exit === null) return 'all members end themselves'
  const first = kind === undefined ? '' : `, first: ${kind}${node === undefined ? '' : ` of node ${node}`}`
  return `\`${cause}\`${codes ? ` (${codes.map((code) => `\`${code}\``).join(' or ')})` : ''}${first}; exit ${exit}`
}

function boundOf({ bound }: Expected): string {
  if (!bound) return ''
  const { leases, ms } = bound
  const lease = leases === 0 ? '' : `${leases === 1 ? 'lease' : `${leases} leases`} + `
  return `${lease}${ms / 1000} s`
}

/** Without what was measured: what must be the same in the document and here. */
export function awaitedText(rows: readonly Row[]): string {
  return rows
    .map(({ fault, what, phases, places, awaited, bound }) => [fault, what, places, phases, awaited, bound].join(' | '))
    .join('\n')
}

const cell = (row: Row, place: Place): string => {
  if (!row.places.includes(place)) return '—'
  const took = row.worst[place]
  if (took === undefined) return row.awaited.startsWith('the run is done') ? 'goes on' : ''
  return took < 1000 ? `${Math.round(took / 10) * 10} ms` : `${(took / 1000).toFixed(1)} s`
}

const BEGIN = '<!-- begin: written by `npm run faults` -->'
const END = '<!-- end -->'

/** The document with the table put in. */
export function withTable(document: string, rows: readonly Row[]): string {
  const head = ['| fault | phases | what comes of it | bound | local | ssh |', '| --- | --- | --- | --- | --- | --- |']
  const lines = rows.map(
    (row) =>
      `| ${row.what} \`${row.fault}\` | ${row.phases} | ${row.awaited} | ${row.bound} | ${cell(row, 'local')} | ${cell(row, 'ssh')} |`,
  )
  const [before] = document.split(BEGIN)
  const after = document.split(END)[1] ?? '\n'
  return `${before}${BEGIN}\n${[...head, ...lines].join('\n')}\n${END}${after}`
}

/** What the document's table awaits, for the comparison with `awaitedText`. */
export function rowsIn(document: string): string {
  const table = document.split(BEGIN)[1]?.split(END)[0] ?? ''
  return table
    .trim()
    .split('\n')
    .slice(2)
    .map((line) => {
      const [first = '', phases, awaited, bound, local, ssh] = line.slice(2, -2).split(' | ')
      const [, what, id] = /^(.*) `([a-z0-9-]+)`$/.exec(first) ?? []
      const places = [...(local === '—' ? [] : ['local']), ...(ssh === '—' ? [] : ['ssh'])]
      return [id, what, places, phases, awaited, bound].join(' | ')
    })
    .join('\n')
}

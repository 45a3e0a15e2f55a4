import { type Finding, type Status, worst } from '../../backend/doctor/finding.js'
import { group } from '../../backend/doctor/judge.js'
import type { Style } from '../style.js'
import { table } from '../table.js'

/** Different answers to one check that are shown each by itself. */
const SHOWN = 4

/** What was found, for people: a table with one line for hosts that answer alike, then what to do. */
export function report(findings: readonly Finding[], style: Style): string {
  const colour = { ok: style.green, info: style.dim, warn: style.yellow, fail: style.red } as const
  const rows = [...group(findings, ({ check }) => check)].flatMap(([check, all]) =>
    statuses.flatMap((status) =>
      lines(all.filter((finding) => finding.status === status)).map(({ found, where }, index) => [
        index === 0 ? check : '',
        colour[status](status),
        found,
        where,
      ]),
    ),
  )
  const troubles = findings.filter(({ status }) => status === 'warn' || status === 'fail')
  const advice = [...group(troubles, ({ check, fix, status }) => `${status} ${check} ${fix ?? ''}`).values()]
    .sort(([a], [b]) => statuses.indexOf(a!.status) - statuses.indexOf(b!.status))
    .flatMap((alike) => {
      const { status, check, fix } = alike[0]!
      const hosts = listed(alike.flatMap(({ host }) => host ?? []))
      return fix === undefined
        ? []
        : [`${colour[status](status)} ${check}${hosts === '' ? '' : ` (${hosts})`}`, `  ${style.green('fix')} ${fix}`]
    })
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length
  const last = {
    ok: style.green('all is well'),
    info: style.green('all is well'),
    warn: `${count('warn')} to look at`,
    fail: style.red(`${count('fail')} to mend`),
  }
  return [
    table(['check', '', 'found', 'where'], rows, style),
    ...(advice.length > 0 ? ['', ...advice] : []),
    '',
    last[worst(findings)],
  ].join('\n')
}

const statuses = ['fail', 'warn', 'ok', 'info'] as const satisfies readonly Status[]

/** Hosts with the same answer in one line; many answers in one, too. */
function lines(findings: readonly Finding[]): { found: string; where: string }[] {
  const answers = [...group(findings, ({ found }) => found)]
  const whereOf = (all: readonly Finding[]) => listed(all.map(({ host }) => host ?? (all.length > 1 ? 'all' : '')))
  const bad = findings.some(({ status }) => status === 'fail' || status === 'warn')
  if (answers.length <= SHOWN || bad) return answers.map(([found, all]) => ({ found, where: whereOf(all) }))
  const [first] = answers[0]!
  return [{ found: `${first}; others differ (--json has all)`, where: whereOf(findings) }]
}

function listed(hosts: readonly string[]): string {
  const names = [...new Set(hosts)].filter(Boolean)
  return names.length <= 6 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`
}

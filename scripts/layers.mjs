// Holds the import rules of the house: inside core, a room imports only rooms below it; some packages
// belong to one room alone. Prints every breach as file:line and exits 1.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

const core = 'packages/core/src'
/** Highest first; rooms in one row may import each other's rows below only. */
const rows = [
  ['cli'],
  ['composition'],
  ['backend'],
  ['runtime'],
  ['gang'],
  ['body'],
  ['client', 'compile'],
  ['ssh', 'process', 'discovery', 'datastore'],
  ['flow', 'decorators', 'current', 'plugin'],
  ['errors'],
]
/** Rows whose rooms may import each other. */
const neighbours = new Set(['flow', 'decorators', 'current', 'plugin'])
/** A package and the rooms that may import it. */
const owners = {
  ssh2: ['ssh'],
  execa: ['process'],
  tsyringe: ['composition'],
  'reflect-metadata': ['composition'],
  yargs: ['cli'],
}
const rank = new Map(rows.flatMap((rooms, row) => rooms.map((room) => [room, row])))
const files = execFileSync(
  'git',
  ['ls-files', '-co', '--exclude-standard', 'packages/*/src/**/*.ts', 'packages/*/src/*.ts'],
  {
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter(Boolean)

const breaches = []
for (const file of new Set(files)) {
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    continue
  }
  const inCore = file.startsWith(`${core}/`)
  const room = inCore ? relative(core, file).split('/')[0] : undefined
  for (const [index, line] of text.split('\n').entries()) {
    const spec = /(?:^|[\s;])(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/.exec(line)?.[1]
    if (!spec || /^\s*(\*|\/\/)/.test(line)) continue
    const at = `${file}:${index + 1}`
    const name = spec.startsWith('@') ? spec.split('/').slice(0, 2).join('/') : spec.split('/')[0]
    if (inCore && rank.has(room)) {
      if (owners[name] && !owners[name].includes(room)) breaches.push(`${at}: ${name} belongs to ${owners[name]}`)
      if (spec.startsWith('.')) {
        const target = relative(core, normalize(join(dirname(file), spec))).split('/')[0]
        if (room === 'parallel-map' && target !== 'parallel-map' && target !== 'errors')
          breaches.push(`${at}: parallel-map imports only errors`)
        if (target === room || !rank.has(target)) {
          if (target !== room && target.endsWith('.js'))
            breaches.push(`${at}: a room does not import an entry (${target})`)
          continue
        }
        const down = rank.get(target) > rank.get(room)
        const beside = neighbours.has(room) && neighbours.has(target)
        if (!down && !beside) breaches.push(`${at}: ${room} must not import ${target}`)
      }
    }
    if (!inCore && /^@gangflow\/core\/(?!plugin$|backend$|testing$|vite$|parallel$|package\.json$)/.test(spec))
      breaches.push(`${at}: plugins import the public exports of @gangflow/core only`)
    if (!inCore && spec.includes('/core/src'))
      breaches.push(`${at}: plugins import the public exports of @gangflow/core only`)
  }
}
if (breaches.length > 0) {
  console.error(breaches.join('\n'))
  process.exit(1)
}

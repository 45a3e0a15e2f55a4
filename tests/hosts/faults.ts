// Faults that are kept as data beside the set, so that several processes (a test, a developer's commands) add to them.
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyLink, type LinkFaults } from './link.js'
import type { SetState } from './state.js'

/** Name of a host to what is wrong with its cable. */
export type Faults = Readonly<Record<string, LinkFaults>>

/** One change at a time in this process. */
const turns = new Map<string, Promise<unknown>>()

export function readFaults(set: SetState): Faults {
  const path = join(set.folder, 'faults.json')
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Faults) : {}
}

/** Changes the faults of hosts' cables; resolves when all are as they were wished. */
export function changeLinks(set: SetState, change: (host: string, now: LinkFaults) => LinkFaults): Promise<void> {
  const turn = (turns.get(set.id) ?? Promise.resolve()).then(async () => {
    const before = readFaults(set)
    const after: Record<string, LinkFaults> = {}
    for (const { name } of set.hosts) after[name] = tidy(change(name, before[name] ?? {}))
    const changed = set.hosts.filter(({ name }) => JSON.stringify(after[name]) !== JSON.stringify(before[name] ?? {}))
    await Promise.all(changed.map(({ name }) => applyLink(set, name, after[name]!, seedOf(name))))
    const path = join(set.folder, 'faults.json')
    writeFileSync(`${path}.new`, JSON.stringify(after))
    renameSync(`${path}.new`, path)
  })
  turns.set(
    set.id,
    turn.catch(() => {}),
  )
  return turn
}

/** What does nothing is no fault. */
function tidy({ down, out, in: into, apart }: LinkFaults): LinkFaults {
  const real = (way: LinkFaults['out']) => (way?.delay || way?.loss ? way : undefined)
  return {
    ...(down ? { down } : {}),
    ...(real(out) === undefined ? {} : { out: out! }),
    ...(real(into) === undefined ? {} : { in: into! }),
    ...(apart?.length ? { apart: [...apart].sort() } : {}),
  }
}

/** The same host loses the same frames in each run. */
const seedOf = (name: string) => [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7)

/** The library that shifts a process's wall clock. */
export function faketimeLibrary(): string {
  const found = ['/usr/lib', '/usr/lib64']
    .flatMap((lib) => [lib, ...(existsSync(lib) ? readdirSync(lib).map((name) => join(lib, name)) : [])])
    .map((folder) => join(folder, 'faketime', 'libfaketimeMT.so.1'))
    .find((path) => existsSync(path))
  if (found === undefined) throw new Error('a shifted clock needs libfaketime\n  fix: apt-get install faketime')
  return found
}

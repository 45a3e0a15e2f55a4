// What is known of the sets of this machine: one folder each, whose `set.json` says who holds it.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HostPlan, SetPlan } from './plan.js'
import { lives, type ProcessId } from './processes.js'

export interface HostState extends HostPlan {
  /** The host's first process, as this machine numbers it. */
  readonly init: ProcessId
}

export interface SetState extends Omit<SetPlan, 'hosts'> {
  readonly id: string
  readonly folder: string
  readonly hosts: readonly HostState[]
  /** Who made it, and in which checkout. */
  readonly owner: ProcessId
  readonly checkout: string
  /** The set's first process, in its namespaces. */
  readonly init: ProcessId
}

/** Where the numbers of processes mean what they mean here: a set of another namespace is none of our business. */
const realm = readlinkSync('/proc/self/ns/pid')

const folders = (): string[] => {
  const mine = (path: string) =>
    statSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.() &&
    readJson<Maker>(join(path, 'maker.json'))?.realm === realm
  return readdirSync(tmpdir())
    .filter((name) => name.startsWith('gf-hosts-'))
    .map((name) => join(tmpdir(), name))
    .filter(mine)
}

export const writeState = (state: SetState): void =>
  writeFileSync(join(state.folder, 'set.json'), `${JSON.stringify(state, null, 2)}\n`)

/** Of this copy of the project: several may share a machine. */
export const checkout = fileURLToPath(new URL('../..', import.meta.url))

/** Every set of this user that lives, the newest last. */
export const livingSets = (): SetState[] =>
  folders()
    .flatMap((folder) => {
      const state = readState(folder)
      return state !== undefined && lives(state.init) ? [state] : []
    })
    .sort((a, b) => a.init.start - b.init.start)

/** Who makes a set, and once it has begun the process whose end is the set's. */
export interface Maker {
  readonly maker: ProcessId
  readonly realm?: string
  /** The machine's end of the set's cable, which goes by itself only once its other end lies in the set. */
  readonly link?: string
  readonly set?: ProcessId
}

export const writeMaker = (folder: string, maker: Maker): void =>
  writeFileSync(join(folder, 'maker.json'), JSON.stringify({ ...maker, realm }))

/** Ends sets whose maker died while making them, and removes folders of ended ones; never what somebody holds or makes. */
export function sweep(): void {
  for (const folder of folders()) {
    const { maker, set, link } = readJson<Maker>(join(folder, 'maker.json')) ?? {}
    const state = readState(folder)
    const made = state !== undefined
    if (made ? lives(state.init) : maker === undefined || lives(maker)) continue
    if (!made && set !== undefined && lives(set)) process.kill(set.pid, 'SIGKILL')
    if (!made && link !== undefined) spawnSync('ip', ['link', 'del', link])
    rmSync(folder, { recursive: true, force: true })
  }
}

const readState = (folder: string) => readJson<SetState>(join(folder, 'set.json'))

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch {
    return undefined
  }
}

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import { decodeLog, type LogRecord } from '../../src/datastore/log-format.js'
import type { Keeper, SpawnRequest } from '../../src/process/contract.js'
import type { KeeperOptions } from '../../src/process/options.js'
import { spoolFile } from '../../src/process/spool.js'
import { startKeeper } from '../../src/process/start.js'

execFileSync(process.execPath, [new URL('../../../keeper/build.mjs', import.meta.url).pathname])

export const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

const folders: string[] = []
const keepers: Keeper[] = []
const marks: string[] = []
let count = 0

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'gangflow-keeper-'))
  folders.push(made)
  return made
}

export function freshMark(): string {
  const mark = `test-${process.pid}-${count++}`
  marks.push(mark)
  return mark
}

export async function keep(options: Partial<KeeperOptions> = {}): Promise<Keeper> {
  const keeper = await startKeeper({ mark: freshMark(), ...options })
  keepers.push(keeper)
  return keeper
}

export const env: Record<string, string> = { PATH: process.env['PATH'] ?? '' }

/** A request for a shell script, with a spool of its own. */
export function sh(name: string, script: string, more: Partial<SpawnRequest> = {}): SpawnRequest & { spool: string } {
  return { name, argv: ['/bin/sh', '-c', script], env, cwd: '/', spool: folder(), ...more } as SpawnRequest & {
    spool: string
  }
}

export function spooled(request: { name: string; spool: string }): LogRecord[] {
  const bytes = readFileSync(spoolFile(request.spool, request.name))
  const { records, consumed } = decodeLog(bytes)
  expect(consumed).toBe(bytes.length)
  return records
}

export function spooledText(request: { name: string; spool: string }, stream?: 'stdout' | 'stderr'): string {
  const records = spooled(request).filter((record) => stream === undefined || record.stream === stream)
  return Buffer.concat(records.map((record) => record.data)).toString()
}

export interface Found {
  pid: number
  ppid: number
  state: string
  command: string
}

/** Every process of the machine. */
export function everyone(): Found[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return [
          { pid: Number(name), ppid: Number(rest[1]), state: rest[0]!, command: stat.slice(0, stat.lastIndexOf(')')) },
        ]
      } catch {
        return []
      }
    })
}

export function isRunning(pid: number): boolean {
  return everyone().some((one) => one.pid === pid && one.state !== 'Z')
}

/** Living processes that carry the mark in their environment. */
export function marked(mark: string): number[] {
  return everyone().flatMap(({ pid, state }) => {
    try {
      const carries = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`GANGFLOW_MARK=${mark}\0`)
      return carries && state !== 'Z' ? [pid] : []
    } catch {
      return []
    }
  })
}

/** Waits until `check` holds, or fails naming what it waited for. */
export async function until(what: string, check: () => boolean, ms = 2000 * slack): Promise<void> {
  const end = performance.now() + ms
  while (!check()) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await sleep(10)
  }
}

afterEach(async () => {
  await Promise.all(keepers.splice(0).map((keeper) => keeper.close({ graceMs: 0 })))
  const left = marks.splice(0).flatMap(marked)
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true })
  expect(left).toEqual([])
})

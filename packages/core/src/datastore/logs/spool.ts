import { appendFileSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Datastore } from '../contract.js'
import { isAbsent, storeFailure } from '../failures.js'
import { LOG_HEADER_BYTES } from '../log-format.js'
import { thisOwner } from '../owner.js'
import type { AttemptAddress, OwnerRecord } from '../records.js'

/** Whose log a process's output is. */
export interface LogTarget {
  readonly address: AttemptAddress
  readonly epoch: number
  readonly node: number
  /** The process's name within the task: `body`, `rank3`. */
  readonly process: string
}

/**
 * Written beside a spool, one line each, before its log's first chunk is: whoever finds the spool after a kill knows
 * whose log it is. A spool serves several logs one after the other when its process does (a reused body).
 */
export interface Claim {
  readonly target: LogTarget
  readonly owner: OwnerRecord
  /** Byte of the spool at which this log begins. */
  readonly from: number
  /** Where it ended, once it was committed whole. */
  readonly to?: number
}

export interface FoundClaim extends Claim {
  readonly file: string
  /** Where the next log in the same spool begins. */
  readonly limit?: number
}

const SUFFIX = '.claims'
export const claimsOf = (spool: string): string => `${spool}${SUFFIX}`

export function writeClaim(spool: string, target: LogTarget, from: number, to?: number): void {
  const claim: Claim = { target, owner: thisOwner(), from, ...(to === undefined ? {} : { to }) }
  const append = () => appendFileSync(claimsOf(spool), `${JSON.stringify(claim)}\n`, { mode: 0o600 })
  try {
    append()
  } catch (error) {
    if (!isAbsent(error)) throw storeFailure(error, 'claiming a spool', spool)
    mkdirSync(dirname(spool), { recursive: true, mode: 0o700 })
    append()
  }
}

/** The claims of one spool that are not yet committed whole, in order. */
export function openClaims(spool: string): FoundClaim[] {
  let text: string
  try {
    text = readFileSync(claimsOf(spool), 'utf8')
  } catch (error) {
    if (isAbsent(error)) return []
    throw storeFailure(error, 'reading the claims of a spool', spool)
  }
  const all: Claim[] = []
  for (const line of text.split('\n')) {
    try {
      if (line !== '') all.push(JSON.parse(line) as Claim)
    } catch {
      // Cut off by a kill: its log had not begun.
    }
  }
  const ended = all.filter((claim) => claim.to !== undefined)
  const starts = all.filter((claim) => claim.to === undefined)
  return starts
    .map((claim, index) => {
      const limit = starts[index + 1]?.from
      return { ...claim, file: spool, ...(limit === undefined ? {} : { limit }) }
    })
    .filter((claim) => !ended.some((other) => sameTarget(other.target, claim.target)))
}

/** The spools below a directory that somebody claimed. */
export async function claimedSpools(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory, { recursive: true })
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => join(directory, name.slice(0, -SUFFIX.length)))
  } catch (error) {
    if (isAbsent(error)) return []
    throw storeFailure(error, 'looking for spools', directory)
  }
}

export const sameTarget = (one: LogTarget, other: LogTarget): boolean =>
  one.process === other.process &&
  one.node === other.node &&
  one.epoch === other.epoch &&
  one.address.attempt === other.address.attempt &&
  one.address.task === other.address.task &&
  one.address.step === other.address.step &&
  one.address.run === other.address.run &&
  one.address.flow === other.address.flow

/** All open claims below the store's own spool directory (and others, where a backend keeps its spools elsewhere). */
export async function findClaims(store: Datastore, directories: readonly string[] = []): Promise<FoundClaim[]> {
  const claims: FoundClaim[] = []
  for (const directory of [store.scratch('spool'), ...directories]) {
    for (const file of await claimedSpools(directory)) claims.push(...openClaims(file))
  }
  return claims
}

export async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (isAbsent(error)) return 0
    throw storeFailure(error, 'looking at a spool', dirname(file))
  }
}

/**
 * The whole records from byte `from` on, at least one if one is there, about `atMost` bytes, none that begins at or
 * after `limit`. An unfinished record at the end is left for the next time.
 */
export async function readRecords(
  file: string,
  from: number,
  atMost: number,
  limit = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    // Mostly it is empty: nothing is loaded to find that out.
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= from) return Buffer.alloc(0)
    handle = await open(file, 'r')
  } catch (error) {
    if (isAbsent(error)) return Buffer.alloc(0)
    throw storeFailure(error, 'reading a spool', file)
  }
  try {
    const available = Math.min((await handle.stat()).size, limit) - from
    for (let length = Math.min(available, atMost); length >= LOG_HEADER_BYTES; ) {
      const bytes = Buffer.allocUnsafeSlow(length)
      const { bytesRead } = await handle.read(bytes, 0, length, from)
      const whole = boundary(bytes.subarray(0, bytesRead))
      if (whole.end > 0) return bytes.subarray(0, whole.end)
      // One record that is larger than what was read.
      if (whole.needed <= length || whole.needed > available) break
      length = whole.needed
    }
    return Buffer.alloc(0)
  } catch (error) {
    throw storeFailure(error, 'reading a spool', file)
  } finally {
    await handle.close()
  }
}

/** Where the last whole record ends, and how many bytes the first one has. */
function boundary(bytes: Buffer): { end: number; needed: number } {
  let end = 0
  let needed = 0
  while (end + LOG_HEADER_BYTES <= bytes.length) {
    const next = end + LOG_HEADER_BYTES + bytes.readUInt32BE(end + 9)
    if (end === 0) needed = next
    if (next > bytes.length) break
    end = next
  }
  return { end, needed }
}

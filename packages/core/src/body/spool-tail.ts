import { open } from 'node:fs/promises'
import { decodeLog, LOG_HEADER_BYTES, type LogRecord } from '../datastore/log-format.js'

/** Bytes looked at: the last lines, and at least one whole record of what the keeper writes at once (64 KiB). */
const window = 512 << 10
/** A record longer than this is none of the keeper's. */
const longestRecord = 1 << 20

/** The last records of a spool, oldest first; none when it cannot be read. */
export async function spoolTail(file: string): Promise<readonly LogRecord[]> {
  let bytes: Buffer
  let whole: boolean
  try {
    const handle = await open(file, 'r')
    try {
      const { size } = await handle.stat()
      const length = Math.min(size, window)
      bytes = Buffer.alloc(length)
      await handle.read(bytes, 0, length, size - length)
      whole = length === size
    } finally {
      await handle.close()
    }
  } catch {
    return []
  }
  return decodeLog(whole ? bytes : bytes.subarray(firstRecord(bytes))).records
}

/** Where a record begins, so that records follow each other from there up to the very end. */
function firstRecord(bytes: Buffer): number {
  for (let start = 0; start < bytes.length; start += 1) if (reachesEnd(bytes, start)) return start
  return bytes.length
}

function reachesEnd(bytes: Buffer, start: number): boolean {
  let at = start
  while (at + LOG_HEADER_BYTES <= bytes.length) {
    const stream = bytes[at]
    const length = bytes.readUInt32BE(at + 9)
    if ((stream !== 1 && stream !== 2) || length === 0 || length > longestRecord) return false
    at += LOG_HEADER_BYTES + length
  }
  return at === bytes.length
}

/**
 * A process's output as the keeper spools it and as log blobs hold it: records one after the other, each
 * u8 stream (1 stdout, 2 stderr), u64 big-endian nanoseconds of the host's monotonic clock, u32 big-endian
 * length, bytes. A blob begins and ends at a record's boundary.
 */
export const LOG_HEADER_BYTES = 13

export interface LogRecord {
  readonly stream: 'stdout' | 'stderr'
  readonly at: bigint
  readonly data: Uint8Array
}

/** The complete records at the start of `bytes`, and how many bytes they take. */
export function decodeLog(bytes: Uint8Array): { records: LogRecord[]; consumed: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records: LogRecord[] = []
  let offset = 0
  while (offset + LOG_HEADER_BYTES <= bytes.length) {
    const length = view.getUint32(offset + 9)
    const end = offset + LOG_HEADER_BYTES + length
    if (end > bytes.length) break
    records.push({
      stream: view.getUint8(offset) === 2 ? 'stderr' : 'stdout',
      at: view.getBigUint64(offset + 1),
      data: bytes.subarray(offset + LOG_HEADER_BYTES, end),
    })
    offset = end
  }
  return { records, consumed: offset }
}

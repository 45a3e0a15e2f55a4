import { constants } from 'node:os'

/** Frames between this process and the native helper; docs/reference/keeper.md has the table. */
export const KEEPER_PROTOCOL = 1

export const command = {
  spawn: 1,
  stdin: 2,
  stdinEnd: 3,
  signal: 4,
  stop: 5,
  hold: 6,
  release: 7,
  ping: 8,
  close: 9,
  survey: 10,
  mark: 11,
} as const

export const event = {
  hello: 1,
  started: 2,
  failed: 3,
  output: 4,
  exited: 5,
  closed: 6,
  stopped: 7,
  held: 8,
  stdinDone: 9,
  spoolFault: 10,
  lapsed: 11,
  stray: 12,
  released: 13,
  survey: 14,
  marked: 15,
} as const

export type Field = { u8: number } | { u16: number } | { u32: number } | { text: string } | { bytes: Uint8Array }

const widthOf = (field: Field): number =>
  'u8' in field
    ? 1
    : 'u16' in field
      ? 2
      : 'u32' in field
        ? 4
        : 4 + ('text' in field ? Buffer.byteLength(field.text) : field.bytes.length)

/** One command's frame. */
export function encodeCommand(type: number, id: number, fields: readonly Field[] = []): Buffer {
  const length = fields.reduce((sum, field) => sum + widthOf(field), 5)
  const frame = Buffer.allocUnsafe(4 + length)
  frame.writeUInt32BE(length, 0)
  frame.writeUInt8(type, 4)
  let at = frame.writeUInt32BE(id, 5)
  for (const field of fields) {
    if ('u8' in field) at = frame.writeUInt8(field.u8, at)
    else if ('u16' in field) at = frame.writeUInt16BE(field.u16, at)
    else if ('u32' in field) at = frame.writeUInt32BE(field.u32, at)
    else {
      const bytes = 'text' in field ? Buffer.from(field.text) : field.bytes
      at = frame.writeUInt32BE(bytes.length, at)
      frame.set(bytes, at)
      at += bytes.length
    }
  }
  return frame
}

/** The fields of one event, read in order. */
export class FieldReader {
  #at = 0
  constructor(private readonly bytes: Buffer) {}
  u8(): number {
    return this.bytes.readUInt8(this.#at++)
  }
  u16(): number {
    this.#at += 2
    return this.bytes.readUInt16BE(this.#at - 2)
  }
  u32(): number {
    this.#at += 4
    return this.bytes.readUInt32BE(this.#at - 4)
  }
  u64(): bigint {
    this.#at += 8
    return this.bytes.readBigUInt64BE(this.#at - 8)
  }
  text(): string {
    const length = this.u32()
    this.#at += length
    return this.bytes.toString('utf8', this.#at - length, this.#at)
  }
  rest(): Buffer {
    return this.bytes.subarray(this.#at)
  }
}

/** Cuts a stream of bytes into frames, however it is chopped. */
export class FrameCutter {
  #parts: Buffer[] = []
  #have = 0

  constructor(private readonly handle: (type: number, id: number, fields: FieldReader) => void) {}

  push(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.#have += bytes.length
    while (this.#have >= 9) {
      let joined = this.#parts.length === 1 ? this.#parts[0]! : undefined
      const first = this.#parts[0]!
      if (!joined && first.length < 4) joined = this.#join()
      const length = (joined ?? first).readUInt32BE(0)
      if (length < 5 || length > 64 << 20) throw new RangeError(`a frame of ${length} bytes`)
      if (this.#have < 4 + length) return
      joined ??= this.#join()
      let at = 0
      while (joined.length - at >= 9) {
        const end = at + 4 + joined.readUInt32BE(at)
        if (end > joined.length) break
        this.handle(
          joined.readUInt8(at + 4),
          joined.readUInt32BE(at + 5),
          new FieldReader(joined.subarray(at + 9, end)),
        )
        at = end
      }
      this.#parts = at < joined.length ? [joined.subarray(at)] : []
      this.#have = joined.length - at
      if (at === 0) return
    }
  }

  #join(): Buffer {
    const joined = Buffer.concat(this.#parts)
    this.#parts = [joined]
    return joined
  }
}

const names = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]))

export const signalNumber = (name: NodeJS.Signals): number => constants.signals[name]
/** Real-time signals have no name in Node: they are given as `SIG34`. */
export const signalName = (number: number): NodeJS.Signals => names.get(number) ?? (`SIG${number}` as NodeJS.Signals)

const errnos = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))
export const errnoName = (number: number): string => errnos.get(number) ?? `errno ${number}`

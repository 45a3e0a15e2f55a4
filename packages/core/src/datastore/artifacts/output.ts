import { TAG } from './tags.js'

/** Binary data from this size on is not copied: the written parts refer to the value's own memory. */
const BY_REFERENCE = 32 << 10
/** Bytes of one part: Node 20 has no view of 4 GiB and more. */
const PART = 1 << 30

/** CBOR items one after the other, in parts that need not be copied again. */
export class Output {
  readonly #parts: Uint8Array[] = []
  #buffer = Buffer.allocUnsafeSlow(1 << 10)
  #length = 0

  finish(): Uint8Array[] {
    this.#cut()
    return this.#parts
  }

  bigint(value: bigint): void {
    const negative = value < 0n
    let hex = (negative ? -1n - value : value).toString(16)
    if (hex.length % 2 === 1) hex = `0${hex}`
    this.head(6, negative ? TAG.negativeBignum : TAG.bignum)
    this.memory(hex === '00' ? new Uint8Array(0) : Buffer.from(hex, 'hex'))
  }

  number(value: number) {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      return value >= 0 ? this.head(0, value) : this.head(1, -1 - value)
    }
    this.#room(9)
    if (Number.isNaN(value)) return this.#half(0x7e00)
    if (Object.is(value, -0)) return this.#half(0x8000)
    if (value === Number.POSITIVE_INFINITY) return this.#half(0x7c00)
    if (value === Number.NEGATIVE_INFINITY) return this.#half(0xfc00)
    this.#buffer[this.#length] = 0xfb
    this.#buffer.writeDoubleBE(value, this.#length + 1)
    this.#length += 9
  }

  #half(bits: number): void {
    this.#buffer[this.#length] = 0xf9
    this.#buffer.writeUInt16BE(bits, this.#length + 1)
    this.#length += 3
  }

  text(value: string) {
    if (!wellFormed(value)) {
      this.head(6, TAG.wtf8)
      return this.memory(wtf8(value))
    }
    const bytes = Buffer.byteLength(value)
    this.head(3, bytes)
    this.#room(bytes)
    this.#buffer.write(value, this.#length, 'utf8')
    this.#length += bytes
  }

  memory({ buffer, byteOffset, byteLength }: ArrayBufferView): void {
    this.head(2, byteLength)
    if (byteLength < BY_REFERENCE) {
      this.#room(byteLength)
      this.#buffer.set(new Uint8Array(buffer, byteOffset, byteLength), this.#length)
      this.#length += byteLength
      return
    }
    this.#cut()
    for (let offset = 0; offset < byteLength; offset += PART) {
      this.#parts.push(new Uint8Array(buffer, byteOffset + offset, Math.min(PART, byteLength - offset)))
    }
  }

  named(name: string, fields: number): void {
    this.head(6, TAG.object)
    this.head(4, fields + 1)
    this.text(name)
  }

  head(major: number, value: number): void {
    this.#room(9)
    const first = major << 5
    const buffer = this.#buffer
    const at = this.#length
    if (value < 24) {
      buffer[at] = first | value
      this.#length = at + 1
    } else if (value < 0x100) {
      buffer[at] = first | 24
      buffer[at + 1] = value
      this.#length = at + 2
    } else if (value < 0x1_0000) {
      buffer[at] = first | 25
      buffer.writeUInt16BE(value, at + 1)
      this.#length = at + 3
    } else if (value < 0x1_0000_0000) {
      buffer[at] = first | 26
      buffer.writeUInt32BE(value, at + 1)
      this.#length = at + 5
    } else {
      buffer[at] = first | 27
      buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1)
      buffer.writeUInt32BE(value % 0x1_0000_0000, at + 5)
      this.#length = at + 9
    }
  }

  byte(value: number): void {
    this.#room(1)
    this.#buffer[this.#length++] = value
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const size = Math.min(Math.max(this.#buffer.length * 4, 1 << 10), 4 << 20)
    this.#cut()
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(size, bytes))
  }

  /** Ends the part under way. */
  #cut(): void {
    if (this.#length > 0) this.#parts.push(this.#buffer.subarray(0, this.#length))
    this.#buffer = this.#buffer.subarray(this.#length)
    this.#length = 0
  }
}

const wellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed()

/** UTF-8 in which a lone surrogate is written as its three bytes. */
function wtf8(text: string): Uint8Array {
  const pieces: Buffer[] = []
  for (const character of text) {
    const point = character.codePointAt(0)!
    pieces.push(
      point >= 0xd800 && point <= 0xdfff
        ? Buffer.from([0xed, 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f)])
        : Buffer.from(character),
    )
  }
  return Buffer.concat(pieces)
}

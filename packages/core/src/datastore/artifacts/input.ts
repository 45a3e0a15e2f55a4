import type { BlobReader } from '../contract.js'

/** The bytes of an artifact in order: all in memory, or read from a blob through a window. */
export class Input {
  #bytes: Buffer
  #at = 0
  #end: number
  /** Bytes not yet consumed, those outside the window included. */
  left: number

  constructor(private readonly source: Uint8Array | BlobReader) {
    if (source instanceof Uint8Array) {
      this.#bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength)
      this.#end = this.#bytes.length
      this.left = this.#end
    } else {
      this.#bytes = Buffer.allocUnsafeSlow(256 << 10)
      this.#end = 0
      this.left = source.size
    }
  }

  byte(): number {
    this.#need(1)
    this.left--
    return this.#bytes[this.#at++]!
  }

  uint16(): number {
    this.#need(2)
    return this.#bytes.readUInt16BE(this.#advance(2))
  }

  uint32(): number {
    this.#need(4)
    return this.#bytes.readUInt32BE(this.#advance(4))
  }

  float32(): number {
    this.#need(4)
    return this.#bytes.readFloatBE(this.#advance(4))
  }

  float64(): number {
    this.#need(8)
    return this.#bytes.readDoubleBE(this.#advance(8))
  }

  text(length: number): string {
    this.#need(length)
    const from = this.#advance(length)
    return this.#bytes.toString('utf8', from, from + length)
  }

  /** Copies the next bytes into memory of the caller's; what is outside the window is read straight into it. */
  into(target: Uint8Array): void {
    if (target.length > this.left) throw new RangeError('the bytes end too early')
    const here = Math.min(this.#end - this.#at, target.length)
    target.set(this.#bytes.subarray(this.#at, this.#at + here))
    this.#at += here
    if (here < target.length) (this.source as BlobReader).readSync(target.subarray(here))
    this.left -= target.length
  }

  #advance(count: number): number {
    const from = this.#at
    this.#at += count
    this.left -= count
    return from
  }

  #need(count: number): void {
    if (this.#end - this.#at >= count) return
    if (count > this.left || this.source instanceof Uint8Array) throw new RangeError('the bytes end too early')
    const kept = this.#end - this.#at
    const grown = count > this.#bytes.length ? Buffer.allocUnsafeSlow(count) : this.#bytes
    this.#bytes.copy(grown, 0, this.#at, this.#end)
    this.#bytes = grown
    const more = Math.min(grown.length - kept, this.left - kept)
    this.source.readSync(grown.subarray(kept, kept + more))
    this.#at = 0
    this.#end = kept + more
  }
}

import { createHash } from 'node:crypto'

/** Bytes up to which it is computed here: a body that reads and writes little need not load Node's cryptography. */
const SMALL = 1024

/** SHA-256 of bytes, in hex. */
export function sha256(data: Uint8Array): string {
  return data.length <= SMALL ? smallSha256(data) : createHash('sha256').update(data).digest('hex')
}

/** A SHA-256 that is fed piece by piece; the first piece may be the only one. */
export class Sha256 {
  #first: Uint8Array | undefined
  #hash: ReturnType<typeof createHash> | undefined

  update(piece: Uint8Array): void {
    if (this.#hash === undefined && this.#first === undefined && piece.length <= SMALL) {
      this.#first = new Uint8Array(piece)
      return
    }
    this.#hash ??= createHash('sha256').update(this.#first ?? new Uint8Array())
    this.#hash.update(piece)
  }

  /** In hex. */
  digest(): string {
    return this.#hash?.digest('hex') ?? smallSha256(this.#first ?? new Uint8Array())
  }
}

/** The first `count` primes' roots' fractional parts, 32 bits of each (FIPS 180-4, 4.2.2 and 5.3.3). */
function fractions(count: number, root: number): Uint32Array {
  const found = new Uint32Array(count)
  for (let candidate = 2, index = 0; index < count; candidate += 1) {
    let prime = true
    for (let factor = 2; factor * factor <= candidate && prime; factor += 1) prime = candidate % factor !== 0
    if (prime) found[index++] = (candidate ** (1 / root) % 1) * 2 ** 32
  }
  return found
}

let constants: { readonly rounds: Uint32Array; readonly start: Uint32Array } | undefined

/** FIPS 180-4, 6.2, for a few blocks. */
function smallSha256(data: Uint8Array): string {
  constants ??= { rounds: fractions(64, 3), start: fractions(8, 2) }
  const { rounds, start } = constants
  const padded = new Uint8Array((data.length + 72) & ~63)
  padded.set(data)
  padded[data.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 4, data.length * 8)
  const words = new Uint32Array(64)
  const state = Uint32Array.from(start)
  for (let block = 0; block < padded.length; block += 64) {
    for (let index = 0; index < 16; index += 1) words[index] = view.getUint32(block + 4 * index)
    for (let index = 16; index < 64; index += 1) {
      const x = words[index - 15]!
      const y = words[index - 2]!
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
      words[index] = words[index - 16]! + s0 + words[index - 7]! + s1
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
    for (let index = 0; index < 64; index += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + rounds[index]! + words[index]!) | 0
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index] = state[index]! + value
  }
  return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('')
}

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Sha256, sha256 } from '../../src/datastore/sha256.js'

const expected = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

it.each([0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1023, 1024, 1025, 5000])(
  'hashes %i bytes as Node does',
  (size) => {
    const data = Uint8Array.from({ length: size }, (_, index) => (index * 151 + size) & 0xff)
    expect(sha256(data)).toBe(expected(data))
    const whole = new Sha256()
    whole.update(data)
    expect(whole.digest()).toBe(expected(data))
  },
)

it('hashes any bytes in any pieces, whatever becomes of the pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 1500 }), { maxLength: 5 }), (pieces) => {
      const sum = new Sha256()
      const all = Buffer.concat(pieces)
      for (const piece of pieces) {
        const shared = Buffer.from(piece)
        sum.update(shared)
        shared.fill(0)
      }
      expect(sum.digest()).toBe(expected(all))
      expect(sha256(all)).toBe(expected(all))
    }),
  )
})

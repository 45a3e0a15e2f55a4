import { describe, expect, it } from 'vitest'
import { defaultLimits, encodeFrame, FrameReader } from '../../src/body/frames.js'
import type { Message } from '../../src/body/protocol.js'
import { GangflowError } from '../../src/errors/base.js'

const hello: Message = { t: 'event', event: 'grüße', data: { list: [1, null, 'x'] } }

function raw(header: string | Uint8Array, payload = Buffer.alloc(0), lie: { total?: number; header?: number } = {}) {
  const bytes = Buffer.from(header as string)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(lie.total ?? bytes.length + payload.length + 4, 0)
  head.writeUInt32BE(lie.header ?? bytes.length, 4)
  return Buffer.concat([head, bytes, payload])
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act()
  } catch (error) {
    return GangflowError.is(error) ? error.code : String(error)
  }
  return undefined
}

describe('frames', () => {
  it('come back whole, however the bytes are cut', () => {
    const payload = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 256))
    const bytes = Buffer.concat([
      ...encodeFrame(hello, payload),
      ...encodeFrame({ t: 'abort', id: 7, reason: '' }),
      ...encodeFrame(hello),
    ])
    for (const size of [1, 3, 7, 9, 64, 1000, bytes.length]) {
      const reader = new FrameReader()
      const seen: unknown[] = []
      for (let at = 0; at < bytes.length; at += size) {
        reader.push(bytes.subarray(at, at + size))
        for (let frame = reader.next(); frame; frame = reader.next()) {
          seen.push([frame.message, Buffer.from(frame.payload)])
        }
      }
      expect(seen).toEqual([
        [hello, payload],
        [{ t: 'abort', id: 7, reason: '' }, Buffer.alloc(0)],
        [hello, Buffer.alloc(0)],
      ])
    }
  })

  it.each([
    ['a total above the limit', raw('{}', undefined, { total: defaultLimits.total + 1 })],
    ['a header above the limit', raw('{}', undefined, { total: 100 << 20, header: 65 << 20 })],
    ['a total too small for a header', raw('', undefined, { total: 3, header: 0 })],
    ['a header longer than its frame', raw('{}', undefined, { total: 6, header: 3 })],
    ['no JSON', raw('{"t":')],
    ['no UTF-8', raw(Buffer.from([0x22, 0xff, 0x22]))],
    ['JSON that is no message', raw('null')],
    ['an unknown kind', raw('{"t":"shout"}')],
    ['a call without an id', raw('{"t":"call","method":"x"}')],
    ['a call without a method', raw('{"t":"call","id":1}')],
    ['an event without a name', raw('{"t":"event"}')],
    ['a program that speaks HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('refuses %s', (_, bytes) => {
    const reader = new FrameReader()
    reader.push(bytes)
    expect(codeOf(() => reader.next())).toBe('E_PROTOCOL_FRAME')
    reader.push(Buffer.concat(encodeFrame(hello)))
    expect(codeOf(() => reader.next())).toBe('E_PROTOCOL_FRAME')
  })

  it('does not send what the other side would refuse', () => {
    expect(codeOf(() => encodeFrame(hello, Buffer.alloc(100), { header: 1000, total: 100 }))).toBe('E_PROTOCOL_FRAME')
  })
})

describe('GangflowError', () => {
  it('is known by instanceof whichever copy of core made it', () => {
    const other = Object.assign(new Error('x'), { [Symbol.for('@gangflow/core.error')]: true })
    expect([other instanceof GangflowError, new Error('y') instanceof GangflowError]).toEqual([true, false])
    class Special extends GangflowError {}
    expect([other instanceof Special, new Special({ code: 'E_DURATION', what: '' }) instanceof Special]).toEqual([
      false,
      true,
    ])
  })
})

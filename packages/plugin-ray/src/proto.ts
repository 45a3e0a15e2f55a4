/** A field of a protobuf message: varints as numbers, fixed64 as doubles, the rest as bytes. */
export interface Field {
  readonly number: number
  readonly value: number | Uint8Array
}

/**
 * The fields of a message in protobuf's wire format, https://protobuf.dev/programming-guides/encoding/. Numbers above
 * 2^53 lose their last digits. Throws a RangeError on bytes that are no message.
 */
export function* fields(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = view.getUint8(at++)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const key = varint()
    const number = Math.floor(key / 8)
    switch (key % 8) {
      case 0:
        yield { number, value: varint() }
        break
      case 1:
        yield { number, value: view.getFloat64(at, true) }
        at += 8
        break
      case 2: {
        const length = varint()
        if (at + length > message.length) throw new RangeError('a protobuf field ends after its message')
        yield { number, value: message.subarray(at, at + length) }
        at += length
        break
      }
      case 5:
        yield { number, value: view.getFloat32(at, true) }
        at += 4
        break
      default:
        throw new RangeError(`a protobuf field of the unknown type ${key % 8}`)
    }
  }
}

export const text = (value: number | Uint8Array): string =>
  typeof value === 'number' ? '' : new TextDecoder().decode(value)

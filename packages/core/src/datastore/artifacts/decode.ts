import { GangflowError } from '../../errors/base.js'
import type { ArtifactCodec } from '../../flow/values.js'
import type { BlobReader } from '../contract.js'
import { Input } from './input.js'
import { restoreError } from './restore-error.js'
import { NAME, TAG, typedArrayConstructor, typedArrayForms } from './tags.js'

/** Bytes read at once: Node 20 has no view of 4 GiB and more. */
const PART = 1 << 30

/** The value that `encodeCbor` wrote. Throws a RangeError or TypeError for bytes that are none. */
export function decodeCbor(source: Uint8Array | BlobReader, codecs: readonly ArtifactCodec[] = []): unknown {
  const input = new Input(source)
  const value = new Decoder(input, codecs).read()
  if (input.left > 0) throw new RangeError(`${input.left} bytes follow the value`)
  return value
}

/** The codec by its name, or a named error. */
export function codecNamed(name: string, codecs: readonly ArtifactCodec[]): ArtifactCodec {
  const codec = codecs.find((candidate) => candidate.name === name)
  if (codec !== undefined) return codec
  throw new GangflowError({
    code: 'E_ARTIFACT_CODEC',
    what: `a value was saved by the codec '${name}', which is not loaded here`,
    fix: 'import the plugin that has this codec in the flow (or pass `codecs` to the Client)',
    details: { codec: name, loaded: codecs.map((candidate) => candidate.name) },
  })
}

class Decoder {
  /** Shared values by number. */
  readonly #values: unknown[] = []
  #pending: number | undefined

  constructor(
    private readonly input: Input,
    private readonly codecs: readonly ArtifactCodec[],
  ) {}

  read(): unknown {
    const first = this.input.byte()
    const major = first >> 5
    const info = first & 31
    switch (major) {
      case 0:
        return this.#length(info)
      case 1:
        return -1 - this.#length(info)
      case 2:
        return this.#keep(Buffer.from(this.#memory(this.#length(info))))
      case 3:
        return this.input.text(this.#length(info))
      case 4:
        return this.#array(this.#count(info, 1))
      case 5:
        return this.#object(this.#count(info, 2), this.#keep({}))
      case 6:
        return this.#tagged(this.#length(info))
      default:
        return this.#simple(info)
    }
  }

  #simple(info: number): unknown {
    switch (info) {
      case 20:
        return false
      case 21:
        return true
      case 22:
        return null
      case 23:
        return undefined
      case 25:
        return half(this.input.uint16())
      case 26:
        return this.input.float32()
      case 27:
        return this.input.float64()
      default:
        throw new TypeError(`unknown simple value ${info}`)
    }
  }

  #tagged(tag: number): unknown {
    const typed = typedArrayForms.get(tag)
    if (typed !== undefined) return this.#typedArray(typed.name, typed.bytes, typed.swap)
    switch (tag) {
      case TAG.date:
        return this.#keep(new Date(Math.round((this.read() as number) * 1000)))
      case TAG.bignum:
        return this.#bigint()
      case TAG.negativeBignum:
        return -1n - this.#bigint()
      case TAG.object:
        return this.#named()
      case TAG.shareable:
        this.#pending = this.#values.length
        this.#values.push(undefined)
        return this.read()
      case TAG.shared: {
        const id = this.read() as number
        if (!(id < this.#values.length)) throw new RangeError(`no shared value ${id}`)
        return this.#values[id]
      }
      case TAG.uri:
        return this.#keep(new URL(this.read() as string))
      case TAG.set: {
        const set = this.#keep(new Set())
        for (let left = this.#counted(4); left > 0; left--) set.add(this.read())
        return set
      }
      case TAG.map: {
        const map = this.#keep(new Map())
        for (let left = this.#counted(5); left > 0; left--) map.set(this.read(), this.read())
        return map
      }
      case TAG.wtf8:
        return fromWtf8(new Uint8Array(this.#byteString()))
      default:
        throw new TypeError(`unknown tag ${tag}`)
    }
  }

  #named(): unknown {
    const slot = this.#pending
    this.#pending = undefined
    const keep = <T>(value: T): T => {
      if (slot !== undefined) this.#values[slot] = value
      return value
    }
    const fields = this.#counted(4)
    const name = this.read() as string
    switch (name) {
      case NAME.array: {
        const array: unknown[] = keep([])
        array.length = this.read() as number
        for (let left = this.#counted(5); left > 0; left--) array[this.read() as number] = this.read()
        this.#object(this.#counted(5), array)
        return array
      }
      case NAME.bare:
        return this.#object(this.#counted(5), keep(Object.create(null)))
      case NAME.codec: {
        const codec = codecNamed(this.read() as string, this.codecs)
        return keep(codec.decode(new Uint8Array(this.#byteString())))
      }
      case NAME.regexp: {
        const expression = keep(new RegExp(this.read() as string, this.read() as string))
        if (fields === 4) expression.lastIndex = this.read() as number
        return expression
      }
      case NAME.error:
      case NAME.gangflowError: {
        const error = keep(restoreError.create(name, this.read() as string))
        restoreError.fill(error, this.read() as Record<string, unknown>, this.read() as Record<string, unknown>)
        return error
      }
      case NAME.date:
        return keep(new Date(this.read() as number))
      case NAME.arrayBuffer:
        return keep(this.#byteString())
      case NAME.dataView:
        return keep(new DataView(this.#byteString()))
      default:
        throw new TypeError(`unknown object '${name}'`)
    }
  }

  #array(count: number): unknown[] {
    const array: unknown[] = this.#keep([])
    for (let left = count; left > 0; left--) array.push(this.read())
    return array
  }

  #object<T extends object>(count: number, target: T): T {
    for (let left = count; left > 0; left--) {
      const key = this.read() as string
      const value = this.read()
      if (key === '__proto__') {
        Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
      } else {
        ;(target as Record<string, unknown>)[key] = value
      }
    }
    return target
  }

  #typedArray(name: string, bytes: number, swap: boolean): unknown {
    const slot = this.#pending
    this.#pending = undefined
    const data = this.#byteString()
    if (swap) swapBytes(data, bytes)
    const Typed = typedArrayConstructor(name)
    if (Typed === undefined) {
      throw new GangflowError({
        code: 'E_ARTIFACT_CODEC',
        what: `the value is a ${name}, which Node ${process.versions.node} does not have`,
        fix: 'read it with Node 24 or newer, or save a Float32Array',
      })
    }
    const array = new Typed(data)
    if (slot !== undefined) this.#values[slot] = array
    return array
  }

  #bigint(): bigint {
    const bytes = this.#byteString()
    return bytes.byteLength === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  }

  #byteString(): ArrayBuffer {
    const first = this.input.byte()
    if (first >> 5 !== 2) throw new TypeError('a byte string was expected')
    return this.#memory(this.#length(first & 31))
  }

  /** The next bytes in memory of their own. */
  #memory(length: number): ArrayBuffer {
    if (length > this.input.left) throw new RangeError('the bytes end too early')
    const memory = new ArrayBuffer(length)
    for (let offset = 0; offset < length; offset += PART) {
      this.input.into(new Uint8Array(memory, offset, Math.min(PART, length - offset)))
    }
    return memory
  }

  /** The head of an item of this kind: how many elements or pairs it has. */
  #counted(major: number): number {
    const first = this.input.byte()
    if (first >> 5 !== major) throw new TypeError(`an item of kind ${major} was expected`)
    return this.#count(first & 31, major - 3)
  }

  #count(info: number, bytesEach: number): number {
    const count = this.#length(info)
    if (count * bytesEach > this.input.left) throw new RangeError('the bytes end too early')
    return count
  }

  #length(info: number): number {
    if (info < 24) return info
    switch (info) {
      case 24:
        return this.input.byte()
      case 25:
        return this.input.uint16()
      case 26:
        return this.input.uint32()
      case 27:
        return this.input.uint32() * 0x1_0000_0000 + this.input.uint32()
      default:
        throw new TypeError('lengths that are not told beforehand are not used in artifacts')
    }
  }

  /** Remembers a value whose tag said that it is referred to later. */
  #keep<T>(value: T): T {
    if (this.#pending !== undefined) {
      this.#values[this.#pending] = value
      this.#pending = undefined
    }
    return value
  }
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function swapBytes(data: ArrayBuffer, width: number): void {
  const bytes = Buffer.from(data)
  if (width === 2) bytes.swap16()
  else if (width === 4) bytes.swap32()
  else bytes.swap64()
}

function fromWtf8(bytes: Uint8Array): string {
  let text = ''
  let from = 0
  for (let at = 0; at + 2 < bytes.length; at++) {
    if (bytes[at] !== 0xed || bytes[at + 1]! < 0xa0) continue
    text += Buffer.from(bytes.subarray(from, at)).toString('utf8')
    text += String.fromCharCode(0xd000 | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f))
    from = at + 3
    at += 2
  }
  return text + Buffer.from(bytes.subarray(from)).toString('utf8')
}

import { GangflowError } from '../../errors/base.js'
import { classify } from './classify.js'
import { extraKeys, type Survey } from './survey.js'
import { NAME, TAG, typedArrayTags } from './tags.js'

/** Binary data from this size on is not copied: the written parts refer to the value's own memory. */
const BY_REFERENCE = 32 << 10
/** Bytes of one part: Node 20 has no view of 4 GiB and more. */
const PART = 1 << 30

/**
 * A surveyed value as CBOR, in parts to be written one after the other. Deterministic: equal values in equal order
 * give equal bytes. `coded` has the bytes of what codecs save.
 */
export function encodeCbor(
  value: unknown,
  survey: Survey,
  coded: ReadonlyMap<unknown, Uint8Array> = new Map(),
): Uint8Array[] {
  const encoder = new Encoder(survey, coded)
  encoder.write(value)
  return encoder.finish()
}

class Encoder {
  readonly #parts: Uint8Array[] = []
  #buffer = Buffer.allocUnsafeSlow(1 << 10)
  #length = 0
  readonly #ids = new Map<object, number>()

  constructor(
    private readonly survey: Survey,
    private readonly coded: ReadonlyMap<unknown, Uint8Array>,
  ) {}

  finish(): Uint8Array[] {
    this.#cut()
    return this.#parts
  }

  write(value: unknown) {
    switch (typeof value) {
      case 'number':
        return this.#number(value)
      case 'string':
        return this.#text(value)
      case 'boolean':
        return this.#byte(value ? 0xf5 : 0xf4)
      case 'undefined':
        return this.#byte(0xf7)
      case 'bigint':
        return this.#bigint(value)
      case 'object':
        return value === null ? this.#byte(0xf6) : this.#object(value)
      default:
        return this.#coded(value)
    }
  }

  #object(value: object) {
    if (this.survey.shared.has(value)) {
      const id = this.#ids.get(value)
      if (id !== undefined) {
        this.#head(6, TAG.shared)
        return this.#head(0, id)
      }
      this.#ids.set(value, this.#ids.size)
      this.#head(6, TAG.shareable)
    }
    switch (classify(value)) {
      case 'array':
        return this.#array(value as unknown[])
      case 'object':
        return this.#properties(value, Object.keys(value))
      case 'bare':
        this.#named(NAME.bare, 1)
        return this.#properties(value, Object.keys(value))
      case 'map': {
        const map = value as Map<unknown, unknown>
        this.#head(6, TAG.map)
        this.#head(5, map.size)
        for (const [key, item] of map) {
          this.write(key)
          this.write(item)
        }
        return
      }
      case 'set': {
        const set = value as Set<unknown>
        this.#head(6, TAG.set)
        this.#head(4, set.size)
        for (const item of set) this.write(item)
        return
      }
      case 'date':
        return this.#date((value as Date).getTime())
      case 'regexp': {
        const { source, flags, lastIndex } = value as RegExp
        this.#named(NAME.regexp, lastIndex === 0 ? 2 : 3)
        this.#text(source)
        this.#text(flags)
        if (lastIndex !== 0) this.#number(lastIndex)
        return
      }
      case 'url':
        this.#head(6, TAG.uri)
        return this.#text((value as URL).href)
      case 'error':
        return this.#error(value as Error)
      case 'buffer':
        return this.#memory(value as Buffer)
      case 'typed':
        this.#head(6, typedArrayTags.get(Object.getPrototypeOf(value).constructor.name)!)
        return this.#memory(value as ArrayBufferView)
      case 'arraybuffer':
        this.#named(NAME.arrayBuffer, 1)
        return this.#memory(new DataView(value as ArrayBuffer))
      case 'dataview':
        this.#named(NAME.dataView, 1)
        return this.#memory(value as DataView)
      case 'foreign':
        return this.#coded(value)
    }
  }

  #array(value: unknown[]) {
    const extra = extraKeys(value)
    const present: number[] = []
    let holes = false
    for (let index = 0; index < value.length && !holes; index++) {
      holes = value[index] === undefined && !(index in value)
    }
    if (!holes && extra.length === 0) {
      this.#head(4, value.length)
      for (let index = 0; index < value.length; index++) this.write(value[index])
      return
    }
    value.forEach((_, index) => {
      present.push(index)
    })
    this.#named(NAME.array, 3)
    this.#number(value.length)
    this.#head(5, present.length)
    for (const index of present) {
      this.#number(index)
      this.write(value[index])
    }
    this.#properties(value, extra)
  }

  #properties(value: object, keys: readonly string[]): void {
    this.#head(5, keys.length)
    for (const key of keys) {
      this.#text(key)
      this.write((value as Record<string, unknown>)[key])
    }
  }

  #error(error: Error) {
    const gangflow = GangflowError.is(error)
    const hidden: [string, unknown][] = [
      ['name', error.name],
      ['message', error.message],
      ['stack', error.stack],
    ]
    if ('cause' in error) hidden.push(['cause', error.cause])
    if (error instanceof AggregateError) hidden.push(['errors', error.errors])
    this.#named(gangflow ? NAME.gangflowError : NAME.error, 3)
    this.#text(builtInErrorName(error))
    this.#head(5, hidden.length)
    for (const [key, value] of hidden) {
      this.#text(key)
      this.write(value)
    }
    this.#properties(error, Object.keys(error))
  }

  #coded(value: unknown): void {
    const codec = this.survey.coded.get(value)
    const bytes = this.coded.get(value)
    if (codec === undefined || bytes === undefined) throw new TypeError('a value changed while it was being saved')
    this.#named(NAME.codec, 2)
    this.#text(codec.name)
    this.#memory(bytes)
  }

  #date(time: number) {
    const seconds = time / 1000
    if (Number.isNaN(time) || Math.round(seconds * 1000) === time) {
      this.#head(6, TAG.date)
      return this.#number(seconds)
    }
    this.#named(NAME.date, 1)
    this.#number(time)
  }

  #bigint(value: bigint): void {
    const negative = value < 0n
    let hex = (negative ? -1n - value : value).toString(16)
    if (hex.length % 2 === 1) hex = `0${hex}`
    this.#head(6, negative ? TAG.negativeBignum : TAG.bignum)
    this.#memory(hex === '00' ? new Uint8Array(0) : Buffer.from(hex, 'hex'))
  }

  #number(value: number) {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      return value >= 0 ? this.#head(0, value) : this.#head(1, -1 - value)
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

  #text(value: string) {
    if (!wellFormed(value)) {
      this.#head(6, TAG.wtf8)
      return this.#memory(wtf8(value))
    }
    const bytes = Buffer.byteLength(value)
    this.#head(3, bytes)
    this.#room(bytes)
    this.#buffer.write(value, this.#length, 'utf8')
    this.#length += bytes
  }

  #memory({ buffer, byteOffset, byteLength }: ArrayBufferView): void {
    this.#head(2, byteLength)
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

  #named(name: string, fields: number): void {
    this.#head(6, TAG.object)
    this.#head(4, fields + 1)
    this.#text(name)
  }

  #head(major: number, value: number): void {
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

  #byte(value: number): void {
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

const builtInErrors = new Set([
  'EvalError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'TypeError',
  'URIError',
  'AggregateError',
])

/** The nearest built-in constructor, which is what reading gives back. */
function builtInErrorName(error: Error): string {
  for (let at: object | null = error; at !== null; at = Object.getPrototypeOf(at)) {
    const name = Object.hasOwn(at, 'constructor') ? at.constructor.name : ''
    if (builtInErrors.has(name)) return name
  }
  return 'Error'
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

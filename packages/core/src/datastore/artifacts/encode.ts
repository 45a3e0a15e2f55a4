import { GangflowError } from '../../errors/base.js'
import { classify } from './classify.js'
import { Output } from './output.js'
import { extraKeys, type Survey } from './survey.js'
import { NAME, TAG, typedArrayTags } from './tags.js'

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
  readonly #out = new Output()
  readonly #ids = new Map<object, number>()

  constructor(
    private readonly survey: Survey,
    private readonly coded: ReadonlyMap<unknown, Uint8Array>,
  ) {}

  finish(): Uint8Array[] {
    return this.#out.finish()
  }

  write(value: unknown) {
    switch (typeof value) {
      case 'number':
        return this.#out.number(value)
      case 'string':
        return this.#out.text(value)
      case 'boolean':
        return this.#out.byte(value ? 0xf5 : 0xf4)
      case 'undefined':
        return this.#out.byte(0xf7)
      case 'bigint':
        return this.#out.bigint(value)
      case 'object':
        return value === null ? this.#out.byte(0xf6) : this.#object(value)
      default:
        return this.#coded(value)
    }
  }

  #object(value: object) {
    if (this.survey.shared.has(value)) {
      const id = this.#ids.get(value)
      if (id !== undefined) {
        this.#out.head(6, TAG.shared)
        return this.#out.head(0, id)
      }
      this.#ids.set(value, this.#ids.size)
      this.#out.head(6, TAG.shareable)
    }
    switch (classify(value)) {
      case 'array':
        return this.#array(value as unknown[])
      case 'object':
        return this.#properties(value, Object.keys(value))
      case 'bare':
        this.#out.named(NAME.bare, 1)
        return this.#properties(value, Object.keys(value))
      case 'map': {
        const map = value as Map<unknown, unknown>
        this.#out.head(6, TAG.map)
        this.#out.head(5, map.size)
        for (const [key, item] of map) {
          this.write(key)
          this.write(item)
        }
        return
      }
      case 'set': {
        const set = value as Set<unknown>
        this.#out.head(6, TAG.set)
        this.#out.head(4, set.size)
        for (const item of set) this.write(item)
        return
      }
      case 'date':
        return this.#date((value as Date).getTime())
      case 'regexp': {
        const { source, flags, lastIndex } = value as RegExp
        this.#out.named(NAME.regexp, lastIndex === 0 ? 2 : 3)
        this.#out.text(source)
        this.#out.text(flags)
        if (lastIndex !== 0) this.#out.number(lastIndex)
        return
      }
      case 'url':
        this.#out.head(6, TAG.uri)
        return this.#out.text((value as URL).href)
      case 'error':
        return this.#error(value as Error)
      case 'buffer':
        return this.#out.memory(value as Buffer)
      case 'typed':
        this.#out.head(6, typedArrayTags.get(Object.getPrototypeOf(value).constructor.name)!)
        return this.#out.memory(value as ArrayBufferView)
      case 'arraybuffer':
        this.#out.named(NAME.arrayBuffer, 1)
        return this.#out.memory(new DataView(value as ArrayBuffer))
      case 'dataview':
        this.#out.named(NAME.dataView, 1)
        return this.#out.memory(value as DataView)
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
      this.#out.head(4, value.length)
      for (let index = 0; index < value.length; index++) this.write(value[index])
      return
    }
    value.forEach((_, index) => {
      present.push(index)
    })
    this.#out.named(NAME.array, 3)
    this.#out.number(value.length)
    this.#out.head(5, present.length)
    for (const index of present) {
      this.#out.number(index)
      this.write(value[index])
    }
    this.#properties(value, extra)
  }

  #properties(value: object, keys: readonly string[]): void {
    this.#out.head(5, keys.length)
    for (const key of keys) {
      this.#out.text(key)
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
    this.#out.named(gangflow ? NAME.gangflowError : NAME.error, 3)
    this.#out.text(builtInErrorName(error))
    this.#out.head(5, hidden.length)
    for (const [key, value] of hidden) {
      this.#out.text(key)
      this.write(value)
    }
    this.#properties(error, Object.keys(error))
  }

  #coded(value: unknown): void {
    const codec = this.survey.coded.get(value)
    const bytes = this.coded.get(value)
    if (codec === undefined || bytes === undefined) throw new TypeError('a value changed while it was being saved')
    this.#out.named(NAME.codec, 2)
    this.#out.text(codec.name)
    this.#out.memory(bytes)
  }

  #date(time: number) {
    const seconds = time / 1000
    if (Number.isNaN(time) || Math.round(seconds * 1000) === time) {
      this.#out.head(6, TAG.date)
      return this.#out.number(seconds)
    }
    this.#out.named(NAME.date, 1)
    this.#out.number(time)
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

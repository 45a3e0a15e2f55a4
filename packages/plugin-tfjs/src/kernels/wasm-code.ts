// A small assembler: functions of WebAssembly are put together as bytes, so that a tile's loop can be unrolled for its
// size. Instructions: https://webassembly.github.io/spec/core/binary/instructions.html

/** Instructions; nested as they are composed. */
export type Code = readonly (number | Code)[]

/** An unsigned number in LEB128. */
function u32(value: number): number[] {
  const bytes: number[] = []
  let rest = value >>> 0
  do {
    const more = rest > 0x7f
    bytes.push((rest & 0x7f) | (more ? 0x80 : 0))
    rest >>>= 7
  } while (rest !== 0)
  return bytes
}

/** A signed number in LEB128. */
function s32(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value | 0; ; rest >>= 7) {
    const last = (rest >= -64 && rest < 0) || (rest >= 0 && rest < 64)
    bytes.push((rest & 0x7f) | (last ? 0 : 0x80))
    if (last) return bytes
  }
}

const simd = (...code: number[]) => [0xfd, ...code]
/** Unaligned, at a constant distance from the address. */
const at = (offset: number) => [0, ...u32(offset)]

export const get = (local: number): Code => [0x20, ...u32(local)]
export const set = (local: number, value: Code): Code => [value, 0x21, ...u32(local)]

export const i32 = {
  const: (value: number): Code => [0x41, ...s32(value)],
  add: (a: Code, b: Code): Code => [a, b, 0x6a],
  sub: (a: Code, b: Code): Code => [a, b, 0x6b],
  mul: (a: Code, b: Code): Code => [a, b, 0x6c],
  /** Of unsigned numbers. */
  below: (a: Code, b: Code): Code => [a, b, 0x49],
  load: (address: Code): Code => [address, 0x28, ...at(0)],
}

/** One float, or four beside each other. */
export interface Lanes {
  bytes: number
  type: number
  load(address: Code, offset?: number): Code
  /** The float at the address, in every lane. */
  spread(address: Code): Code
  store(address: Code, value: Code, offset?: number): Code
  add(a: Code, b: Code): Code
  mul(a: Code, b: Code): Code
}

export const f32: Lanes = {
  bytes: 4,
  type: 0x7d,
  load: (address, offset = 0) => [address, 0x2a, ...at(offset)],
  spread: (address) => f32.load(address),
  store: (address, value, offset = 0) => [address, value, 0x38, ...at(offset)],
  add: (a, b) => [a, b, 0x92],
  mul: (a, b) => [a, b, 0x94],
}

export const f32x4: Lanes = {
  bytes: 16,
  type: 0x7b,
  load: (address, offset = 0) => [address, ...simd(0), ...at(offset)],
  spread: (address) => [address, ...simd(9), ...at(0)],
  store: (address, value, offset = 0) => [address, value, ...simd(11), ...at(offset)],
  add: (a, b) => [a, b, ...simd(0xe4, 0x01)],
  mul: (a, b) => [a, b, ...simd(0xe6, 0x01)],
}

/** Lanes of two vectors beside each other, numbered 0 to 3 and 4 to 7. */
export const shuffle = (a: Code, b: Code, lanes: readonly number[]): Code => [
  a,
  b,
  ...simd(13),
  lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
]

/** Runs the body as often as `count` says, at least once; the counter is counted down. */
export const repeat = (counter: number, count: Code, body: Code): Code => [
  set(counter, count),
  [0x03, 0x40, body, set(counter, i32.sub(get(counter), i32.const(1))), get(counter), 0x0d, 0, 0x0b],
]

export const when = (condition: Code, body: Code): Code => [condition, 0x04, 0x40, body, 0x0b]

/** Adds to a local. */
export const advance = (local: number, by: Code): Code => set(local, i32.add(get(local), by))

interface Locals {
  i32(): number
  of(lanes: Lanes): number
}

export interface Func {
  readonly name: string
  readonly params: number
  readonly locals: readonly number[]
  readonly body: Code
}

/** A function of 32-bit integers, by name, that gives nothing; locals begin as zero. */
export function func<P extends string>(
  name: string,
  params: readonly P[],
  build: (params: Record<P, number>, locals: Locals) => Code,
): Func {
  const types: number[] = []
  const take = (type: number) => params.length + types.push(type) - 1
  const named = Object.fromEntries(params.map((param, index) => [param, index])) as Record<P, number>
  const body = build(named, { i32: () => take(0x7f), of: ({ type }) => take(type) })
  return { name, params: params.length, locals: types, body }
}

const vector = (items: readonly Code[]): Code => [...u32(items.length), ...items]
const text = (value: string): Code => [...u32(value.length), ...Buffer.from(value)]

/** In line; `Array.flat` takes ten times as long. */
function flat(code: Code, into: number[] = []): number[] {
  for (const part of code) {
    if (typeof part === 'number') into.push(part)
    else flat(part, into)
  }
  return into
}

function sized(code: Code): number[] {
  const bytes = flat(code)
  return flat([u32(bytes.length), bytes])
}

/** The module of these functions over a memory that is imported as `env.memory`. */
export function assemble(funcs: readonly Func[]): Uint8Array<ArrayBuffer> {
  const section = (id: number, content: Code) => [id, ...sized(content)]
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(funcs.map(({ params }) => [0x60, vector(Array(params).fill([0x7f])), 0]))),
    ...section(2, vector([[text('env'), text('memory'), 2, 0, 1]])),
    ...section(3, vector(funcs.map((_, index) => u32(index)))),
    ...section(7, vector(funcs.map(({ name }, index) => [text(name), 0, u32(index)]))),
    ...section(
      10,
      vector(funcs.map(({ locals, body }) => sized([vector(locals.map((type) => [1, type])), body, 0x0b]))),
    ),
  ])
}

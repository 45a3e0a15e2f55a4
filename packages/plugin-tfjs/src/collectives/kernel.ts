import { assemble, type Routine, signed, unsigned } from './assemble.js'
import type { Kind, ReductionName } from './shape.js'
import { type SharedMemory, wasm } from './wasm.js'

/** Arithmetic on places of one shared memory; places and lengths in bytes, lengths of whole elements, no alignment needed. */
export interface Kernel {
  /** `at[i] = at[i] ∘ from[i]`. A mean is summed here, and divided when the last rank's share is in. */
  join(reduction: ReductionName, kind: Kind, at: number, from: number, bytes: number): void
  /** `at[i] /= by`; int32 towards zero. */
  divide(kind: Kind, at: number, bytes: number, by: number): void
}

/** Instructions of a kind: of a SIMD register (after the 0xfd prefix), and how one element comes and goes. */
const lanes = {
  float32: { size: 4, sum: 0xe4, divide: 0xe7, min: 0xe8, max: 0xe9, splat: 0x13, convert: 0xb2 },
  float64: { size: 8, sum: 0xf0, divide: 0xf3, min: 0xf4, max: 0xf5, splat: 0x14, convert: 0xb7 },
  int32: { size: 4, sum: 0xae, divide: 0, min: 0xb6, max: 0xb8, splat: 0, convert: 0 },
} as const
type Reducible = keyof typeof lanes

const get = (local: number) => [0x20, local]
const set = (local: number) => [0x21, local]
const constant = (value: number) => [0x41, ...signed(value)]
const ADD = 0x6a
const simd = (code: number, ...rest: number[]) => [0xfd, ...unsigned(code), ...rest]
const step = (local: number, bytes: number) => [...get(local), ...constant(bytes), ADD, ...set(local)]
/** While `local` is below `end` (unsigned): the body, which moves `local` on. */
const loop = (local: number, end: number, body: readonly number[]) => [
  ...[0x02, 0x40, 0x03, 0x40, ...get(local), ...get(end), 0x4f, 0x0d, 1],
  ...[...body, 0x0c, 0, 0x0b, 0x0b],
]
/** One register at `offset`. */
const whole = {
  load: (offset: number) => simd(0x00, 0, ...unsigned(offset)),
  store: (offset: number) => simd(0x0b, 0, ...unsigned(offset)),
}
/** The lowest lane alone: for the elements that fill no register. */
const single = (size: number) => ({
  load: simd(size === 4 ? 0x5c : 0x5d, 0, 0),
  store: simd(size === 4 ? 0x5a : 0x5b, 0, 0, 0),
})

const UNROLLED = [0, 16, 32, 48]
const BLOCK = 64

/** Blocks of four registers, then element by element. `bytes` is the local of the length, `end` a free one. */
function sweep(
  size: number,
  moved: readonly number[],
  bytes: number,
  end: number,
  one: (load: number[], store: number[]) => number[],
) {
  const lane = single(size)
  return [
    ...[...get(0), ...get(bytes), ...constant(-BLOCK), 0x71, ADD, ...set(end)],
    ...loop(0, end, [
      ...UNROLLED.flatMap((offset) => one(whole.load(offset), whole.store(offset))),
      ...moved.flatMap((local) => step(local, BLOCK)),
    ]),
    ...[...get(end), ...get(bytes), ...constant(BLOCK - 1), 0x71, ADD, ...set(end)],
    ...loop(0, end, [...one(lane.load, lane.store), ...moved.flatMap((local) => step(local, size))]),
  ]
}

/** (at, from, bytes) */
function joining(kind: Reducible, operation: 'sum' | 'min' | 'max'): Routine {
  const { size, [operation]: code } = lanes[kind]
  const one = (load: number[], store: number[]) => [
    ...get(0),
    ...get(0),
    ...load,
    ...get(1),
    ...load,
    ...simd(code),
    ...store,
  ]
  return { name: `${operation}_${kind}`, parameters: 3, locals: 1, code: sweep(size, [0, 1], 2, 3, one) }
}

/** (at, bytes, by) */
function dividing(kind: Reducible): Routine {
  const { size, divide, splat, convert } = lanes[kind]
  const named = { name: `divide_${kind}`, parameters: 3, locals: 1 }
  if (kind === 'int32') {
    const one = [...get(0), ...get(0), 0x28, 2, 0, ...get(2), 0x6d, 0x36, 2, 0, ...step(0, 4)]
    return { ...named, code: [...get(0), ...get(1), ADD, ...set(3), ...loop(0, 3, one)] }
  }
  const by = [...get(2), convert, ...simd(splat)]
  const one = (load: number[], store: number[]) => [...get(0), ...get(0), ...load, ...by, ...simd(divide), ...store]
  return { ...named, code: sweep(size, [0], 1, 3, one) }
}

const kinds = Object.keys(lanes) as Reducible[]
const routines = kinds.flatMap((kind) => [
  ...(['sum', 'min', 'max'] as const).map((operation) => joining(kind, operation)),
  dividing(kind),
])
let compiled: object | undefined

/** The kernel over a shared memory; assembled and compiled once a thread, in less than a millisecond. */
export function makeKernel(memory: SharedMemory): Kernel {
  compiled ??= new wasm.Module(assemble(routines))
  const { exports } = new wasm.Instance(compiled, { env: { memory } })
  const routine = (name: string) => exports[name] as (...values: number[]) => void
  const named = new Map(routines.map(({ name }) => [name, routine(name)]))
  return {
    join: (reduction, kind, at, from, bytes) =>
      named.get(`${reduction === 'mean' ? 'sum' : reduction}_${kind}`)!(at, from, bytes),
    divide: (kind, at, bytes, by) => named.get(`divide_${kind}`)!(at, bytes, by),
  }
}

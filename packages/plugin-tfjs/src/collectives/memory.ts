import { GangflowError } from '@gangflow/core'
import type { BufferKind, BufferOf, Values } from './contract.js'
import { elementSize } from './shape.js'
import { type SharedMemory, wasm } from './wasm.js'

const PAGE = 64 * 1024
/** Every place begins a cache line. */
export const LINE = 64
/** Most that is reserved of the address space, in pages: the first that the machine gives. The last page stays out, so that no end wraps. */
const LIMITS = [65_535, 32_767, 8191]

const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array } as const

const tooMuch = (bytes: number, cause: unknown) =>
  new GangflowError(
    {
      code: 'E_TF_MEMORY',
      what: `there is no memory for ${bytes} bytes more of what the collectives exchange`,
      fix: 'release() buffers that are no longer needed, exchange less at once, or raise `ulimit -v`; 4 GiB is the most',
    },
    { cause },
  )

/** Makes a shared memory with room to grow, and a first part of it that is there from the beginning. */
export function makeMemory(reserved: number): SharedMemory {
  const initial = Math.ceil(reserved / PAGE)
  for (const maximum of LIMITS) {
    try {
      return new wasm.Memory({ initial, maximum, shared: true })
    } catch (cause) {
      if (maximum === LIMITS.at(-1)) throw tooMuch(reserved, cause)
    }
  }
  throw tooMuch(reserved, undefined)
}

interface Hole {
  at: number
  bytes: number
}

/** Where new places begin. */
export interface Ground {
  /** The place of so many bytes that nobody has. */
  reserve(bytes: number): number
  /** Takes back what was reserved last; false: it stays reserved. */
  retreat(from: number, end: number): boolean
}

/** All of a memory from a place on, for one thread. */
export function ownGround(begin: number): Ground {
  let top = Math.ceil(begin / LINE) * LINE
  return {
    reserve(bytes) {
      top += bytes
      return top - bytes
    },
    retreat(from, end) {
      if (end !== top) return false
      top = from
      return true
    },
  }
}

/** Places in a shared memory, handed out and taken back by one thread. */
export class Arena {
  /** In order of place, no two adjoining. */
  private holes: Hole[] = []
  private readonly taken = new Map<number, number>()
  /** Every growth makes another object of the same memory. */
  private readonly known = new WeakSet<object>()

  constructor(
    readonly memory: SharedMemory,
    private readonly ground: Ground,
  ) {}

  take(wanted: number): number {
    const bytes = Math.max(LINE, Math.ceil(wanted / LINE) * LINE)
    const hole = this.holes.find((one) => one.bytes >= bytes)
    const at = hole?.at ?? this.ground.reserve(bytes)
    if (hole) {
      hole.at += bytes
      hole.bytes -= bytes
      if (hole.bytes === 0) this.holes.splice(this.holes.indexOf(hole), 1)
    } else this.grow(at, at + bytes)
    this.taken.set(at, bytes)
    return at
  }

  /** False: nothing begins there. */
  give(at: number): boolean {
    const bytes = this.taken.get(at)
    if (bytes === undefined) return false
    this.taken.delete(at)
    this.holes.push({ at, bytes })
    this.holes.sort((one, other) => one.at - other.at)
    this.holes = this.holes.reduce<Hole[]>((joined, hole) => {
      const last = joined.at(-1)
      if (last && last.at + last.bytes === hole.at) last.bytes += hole.bytes
      else joined.push(hole)
      return joined
    }, [])
    const last = this.holes.at(-1)
    if (last && this.ground.retreat(last.at, last.at + last.bytes)) this.holes.pop()
    return true
  }

  array<K extends BufferKind>(kind: K, at: number, length: number): BufferOf<K> {
    const { buffer } = this.memory
    this.known.add(buffer)
    return new arrays[kind](buffer as unknown as ArrayBuffer, at, length) as unknown as BufferOf<K>
  }

  /** Where an array lies, if it is (a part of) one of these. */
  placeOf(values: Values): number | undefined {
    return this.known.has(values.buffer) ? values.byteOffset : undefined
  }

  private grow(from: number, end: number): void {
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE)
    if (missing <= 0) return
    try {
      this.memory.grow(missing)
    } catch (cause) {
      this.ground.retreat(from, end)
      throw tooMuch(missing * PAGE, cause)
    }
  }
}

/** A new array of the same kind, of its own memory. */
export function plainArray<K extends BufferKind>(kind: K, length: number): BufferOf<K> {
  return new arrays[kind](length) as unknown as BufferOf<K>
}

export const bytesOf = (kind: BufferKind, length: number): number => elementSize[kind] * length

import { GangflowError } from '@gangflow/core'
import type { DataId, DataType, TensorInfo } from '@tensorflow/tfjs'
import type { Tf } from '../backends/tf.js'
import { functions, type Kind, tallest, tileName, widths } from './tiles.js'
import { assemble } from './wasm-code.js'

/** What the kernels use of tfjs-backend-wasm's backend. */
export interface WasmBackend {
  readonly wasm: {
    readonly asm: { readonly memory: WebAssembly.Memory }
    _malloc(bytes: number): number
    _free(address: number): void
  }
  readonly dataIdMap: { get(id: DataId): { memoryOffset: number } }
  makeOutput(shape: readonly number[], dtype: DataType): TensorInfo
  disposeData(id: DataId): boolean
}

type Tile = (...args: number[]) => void

interface Functions {
  /** By width, then by rows. */
  readonly tiles: Record<Kind, readonly (readonly Tile[])[]>
  readonly segments: Tile
  readonly turn: Tile
}

/** Where a tile's operands lie, in floats: `by` are the strides of the three loops, outermost first. */
export interface Operand {
  /** In bytes. */
  at: number
  row: number
  by: readonly [number, number, number]
}

/** The functions over one backend's memory, and what a kernel takes from that memory while it runs. */
export class Machine {
  #functions: Functions
  #taken: number[] = []
  #made: TensorInfo[] = []
  #results: TensorInfo[] = []

  constructor(
    readonly tf: Tf,
    readonly backend: WasmBackend,
  ) {
    this.#functions = compiled(backend)
  }

  /** All of the memory; growing it makes an earlier view void. */
  floats(): Float32Array {
    return new Float32Array(this.backend.wasm.asm.memory.buffer)
  }

  at({ dataId }: TensorInfo): number {
    return this.backend.dataIdMap.get(dataId).memoryOffset >>> 0
  }

  /** Room for so many floats until the kernel's end; not zeroed. */
  room(floats: number): number {
    const address = this.backend.wasm._malloc(floats * 4) >>> 0
    if (address === 0) throw full(floats)
    this.#taken.push(address)
    return address
  }

  /** A tensor of zeros. */
  zeros(shape: readonly number[]): TensorInfo {
    const made = this.#output(shape)
    this.#results.push(made)
    const from = this.at(made) / 4
    this.floats().fill(0, from, from + this.tf.util.sizeFromShape([...shape]))
    return made
  }

  /** A tensor of whatever lies there, until the kernel's end. */
  temporary(shape: readonly number[]): TensorInfo {
    const made = this.#output(shape)
    this.#made.push(made)
    return made
  }

  #output(shape: readonly number[]): TensorInfo {
    const made = this.backend.makeOutput(shape, 'float32')
    const size = this.tf.util.sizeFromShape([...shape])
    if (size === 0 || this.at(made) !== 0) return made
    this.backend.disposeData(made.dataId)
    throw full(size)
  }

  /** What another kernel of the backend gives, until the kernel's end. */
  run(kernel: string, inputs: Record<string, TensorInfo>, attrs: Record<string, unknown>): TensorInfo {
    const made = this.tf.getKernel(kernel, 'wasm').kernelFunc({
      inputs,
      backend: this.backend,
      attrs: attrs as never,
    }) as TensorInfo
    this.#made.push(made)
    return made
  }

  /** What was made for this kernel alone is its result; what it was made of is not. */
  keep(made: TensorInfo, instead: TensorInfo): TensorInfo {
    this.#made = this.#made.filter((other) => other !== made)
    this.#made.push(instead)
    return made
  }

  /** The tensor as floats. */
  asFloats(x: TensorInfo): TensorInfo {
    return x.dtype === 'float32' ? x : this.run('Cast', { x }, { dtype: 'float32' })
  }

  /** Adds rows of `x` to rows of `out`: src/kernels/tiles.ts. */
  segments(ids: number, count: number, x: number, out: number, segments: number, row: number): void {
    this.#functions.segments(ids, count, x, out, segments, Math.floor(row / 4), row % 4)
  }

  /**
   * Goes over a matrix of rows by columns in tiles. `a` moves along with the rows and, unless its one float serves all
   * columns (`outer`), with the columns; `b` with the columns; `c` with both.
   */
  tiles(
    kind: Kind,
    [rows, columns]: readonly [number, number],
    counts: readonly [number, number, number],
    { a, b, c }: { a: Operand; b: Omit<Operand, 'row'>; c: Omit<Operand, 'by'> },
  ): void {
    if (counts.includes(0)) return
    const along = kind === 'outer' ? 0 : 4
    const [a0, a1, a2] = [a.by[0] * 4, a.by[1] * 4, a.by[2] * 4]
    const [b0, b1, b2] = [b.by[0] * 4, b.by[1] * 4, b.by[2] * 4]
    const [aRow, cRow] = [a.row * 4, c.row * 4]
    const [n0, n1, n2] = counts
    for (let n = 0; n < columns; ) {
      const left = columns - n
      const width = left >= 8 ? 0 : left >= 4 ? 1 : 2
      const ofWidth = this.#functions.tiles[kind][width] as readonly Tile[]
      const bAt = b.at + n * 4
      for (let m = 0; m < rows; m += tallest) {
        const tile = ofWidth[Math.min(tallest, rows - m) - 1] as Tile
        const aAt = a.at + m * aRow + n * along
        const cAt = c.at + m * cRow + n * 4
        tile(aAt, aRow, a0, a1, a2, bAt, b0, b1, b2, cAt, cRow, n0, n1, n2)
      }
      n += (widths[width] as (typeof widths)[number]).floats
    }
  }

  /** Writes the matrix at `x`, rows by columns, to `out`, columns by rows. */
  turn(x: number, rows: number, columns: number, out: number): void {
    const [wholeRows, wholeColumns] = [rows - (rows % 4), columns - (columns % 4)]
    const near = 32
    for (let i = 0; i < wholeRows; i += near) {
      const times = Math.min(near, wholeRows - i) / 4
      for (let j = 0; j < wholeColumns; j += 4)
        this.#functions.turn(x + (i * columns + j) * 4, columns * 4, out + (j * rows + i) * 4, rows * 4, times)
    }
    const floats = this.floats()
    const one = (i: number, j: number) => {
      floats[out / 4 + j * rows + i] = floats[x / 4 + i * columns + j] as number
    }
    for (let i = 0; i < rows; i++) for (let j = i < wholeRows ? wholeColumns : 0; j < columns; j++) one(i, j)
  }

  /** Gives back what the kernel took, and what it made when it failed. */
  end(failed: boolean): void {
    for (const address of this.#taken) this.backend.wasm._free(address)
    for (const { dataId } of new Set([...this.#made, ...(failed ? this.#results : [])]))
      this.backend.disposeData(dataId)
  }
}

const full = (floats: number) =>
  new GangflowError({
    code: 'E_TF_WASM_MEMORY',
    what: `the wasm backend has no memory for ${floats * 4} bytes more`,
    fix: 'give it smaller batches, or dispose of tensors that are no longer needed (tf.tidy)',
  })

let module: WebAssembly.Module | undefined
const instances = new WeakMap<WebAssembly.Memory, Functions>()

function compiled({ wasm }: WasmBackend): Functions {
  const memory = wasm.asm?.memory
  if (memory === undefined)
    throw new GangflowError({
      code: 'E_TF_KERNELS',
      what: 'this @tensorflow/tfjs-backend-wasm does not give its memory to others',
      fix: 'install @tensorflow/tfjs and @tensorflow/tfjs-backend-wasm 4.22',
    })
  const known = instances.get(memory)
  if (known) return known
  module ??= new WebAssembly.Module(assemble(functions()))
  const found = new WebAssembly.Instance(module, { env: { memory } }).exports as Record<string, Tile>
  const ofKind = (kind: Kind) =>
    widths.map(({ floats }) => Array.from({ length: tallest }, (_, m) => found[tileName(kind, m + 1, floats)] as Tile))
  const made: Functions = {
    tiles: { outer: ofKind('outer'), each: ofKind('each'), spread: ofKind('spread') },
    segments: found['segments'] as Tile,
    turn: found['turn'] as Tile,
  }
  instances.set(memory, made)
  return made
}

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

type Functions = Record<string, (...args: number[]) => void>

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
    if (address === 0)
      throw new GangflowError({
        code: 'E_TF_WASM_MEMORY',
        what: `the wasm backend has no memory for ${floats * 4} bytes more`,
        fix: 'give it smaller batches, or dispose of tensors that are no longer needed (tf.tidy)',
      })
    this.#taken.push(address)
    return address
  }

  /** A tensor of zeros. */
  zeros(shape: readonly number[]): TensorInfo {
    const made = this.backend.makeOutput(shape, 'float32')
    const from = this.at(made) / 4
    this.floats().fill(0, from, from + this.tf.util.sizeFromShape([...shape]))
    return made
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

  /** The tensor as floats. */
  asFloats(x: TensorInfo): TensorInfo {
    return x.dtype === 'float32' ? x : this.run('Cast', { x }, { dtype: 'float32' })
  }

  call(name: string, ...args: number[]): void {
    this.#functions[name]?.(...args)
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
    for (let n = 0; n < columns; ) {
      const { floats = 1 } = widths.find((width) => width.floats <= columns - n) ?? {}
      for (let m = 0; m < rows; m += tallest) {
        const name = tileName(kind, Math.min(tallest, rows - m), floats)
        const [a0, a1, a2] = a.by
        const [b0, b1, b2] = b.by
        const aAt = a.at + m * a.row * 4 + n * along
        const cAt = c.at + (m * c.row + n) * 4
        this.call(
          name,
          ...[aAt, a.row * 4, a0 * 4, a1 * 4, a2 * 4],
          ...[b.at + n * 4, b0 * 4, b1 * 4, b2 * 4],
          ...[cAt, c.row * 4, ...counts],
        )
      }
      n += floats
    }
  }

  /** Gives back what the kernel took. */
  end(): void {
    for (const address of this.#taken) this.backend.wasm._free(address)
    for (const { dataId } of this.#made) this.backend.disposeData(dataId)
  }
}

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
  const made = new WebAssembly.Instance(module, { env: { memory } }).exports as Functions
  instances.set(memory, made)
  return made
}

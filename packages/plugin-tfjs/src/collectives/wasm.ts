/** What is used of WebAssembly, which Node's types leave to the DOM's. */
export interface SharedMemory {
  /** Another object after each growth, of the same bytes. */
  readonly buffer: SharedArrayBuffer
  /** Pages of 64 KiB; gives the number before. Throws a RangeError where it cannot. */
  grow(pages: number): number
}

interface Api {
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => SharedMemory
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> }
}

export const wasm: Api = (globalThis as unknown as { WebAssembly: Api }).WebAssembly

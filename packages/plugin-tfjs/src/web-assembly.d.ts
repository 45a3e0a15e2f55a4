export {}

declare global {
  /** What this package uses of WebAssembly, which the types of Node 20 leave to those of browsers. */
  namespace WebAssembly {
    class Memory {
      constructor(size: { initial: number; maximum?: number; shared?: boolean })
      readonly buffer: ArrayBuffer
      grow(pages: number): number
    }
    class Module {
      constructor(bytes: Uint8Array<ArrayBuffer>)
    }
    class Instance {
      constructor(module: Module, imports?: Record<string, Record<string, unknown>>)
      readonly exports: Record<string, unknown>
    }
  }
}

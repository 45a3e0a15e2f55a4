import type { SharedMemory } from '../wasm.js'

/** The shared memory as bytes; the other thread may have made it larger since the last look. */
export class View {
  private all: Uint8Array<SharedArrayBuffer>

  constructor(private readonly memory: SharedMemory) {
    this.all = new Uint8Array(memory.buffer)
  }

  private reach(end: number): Uint8Array<SharedArrayBuffer> {
    if (end > this.all.length) {
      // Growing by nothing makes this thread take notice.
      if (end > this.memory.buffer.byteLength) this.memory.grow(0)
      this.all = new Uint8Array(this.memory.buffer)
    }
    return this.all
  }

  bytes(at: number, length: number): Uint8Array<SharedArrayBuffer> {
    return this.reach(at + length).subarray(at, at + length)
  }

  buffer(at: number, length: number): Buffer {
    return Buffer.from(this.reach(at + length).buffer as unknown as ArrayBuffer, at, length)
  }

  move(to: number, from: number, length: number): void {
    this.reach(Math.max(to, from) + length).copyWithin(to, from, from + length)
  }

  put(at: number, bytes: Uint8Array): void {
    this.reach(at + bytes.length).set(bytes, at)
  }
}

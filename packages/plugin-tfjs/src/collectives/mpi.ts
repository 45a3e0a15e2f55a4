import { Caller, type Prepared } from './caller.js'
import type { Collectives } from './contract.js'
import { CLOSED, errorOf } from './failure.js'
import { type Kernel, makeKernel } from './kernel.js'
import { Arena, makeMemory, ownGround } from './memory.js'
import { loadMpi, type Mpi } from './mpi-library.js'
import { type CallShape, describe, elementSize, HEADER_BYTES, readHeader, sameShape, writeHeader } from './shape.js'
import { partOf } from './split.js'
import { View } from './worker/view.js'

/** Of this process: MPI can be begun and ended only once. */
let shared: Mpi | undefined

/**
 * Collectives over the processes that one mpirun started, by the MPI that started them; needs the package `koffi`. Every
 * call blocks, the asynchronous ones too, and none has a deadline: a rank that dies ends all, by mpirun. Which bits a
 * sum has, and what becomes of NaN, is that MPI's affair. Errors: `E_TF_MPI`, `E_TF_CALL_MISMATCH`.
 */
export function mpiCollectives(): Collectives {
  shared ??= begin()
  const [rank, size] = [new Int32Array(1), new Int32Array(1)]
  shared.call('Comm_rank', shared.world, rank)
  shared.call('Comm_size', shared.world, size)
  return new MpiCollectives(shared, rank[0]!, size[0]!)
}

function begin(): Mpi {
  const mpi = loadMpi(process.env)
  const begun = new Int32Array(1)
  mpi.call('Initialized', begun)
  if (begun[0] === 0) mpi.call('Init', null, null)
  // A process that failed does not wait here for the others: mpirun sees its exit code and ends them.
  if (begun[0] === 0) process.once('exit', (code) => code === 0 && mpi.call('Finalize'))
  return mpi
}

class MpiCollectives extends Caller {
  readonly transport = 'mpi'
  private sequence = 0
  private closed = false
  private readonly view: View
  private readonly kernel: Kernel
  private readonly header = new Uint8Array(HEADER_BYTES)
  private readonly headers: Uint8Array

  constructor(
    private readonly mpi: Mpi,
    rank: number,
    size: number,
  ) {
    const memory = makeMemory(0)
    super(rank, size, new Arena(memory, ownGround(0)))
    this.view = new View(memory)
    this.kernel = makeKernel(memory)
    this.headers = new Uint8Array(HEADER_BYTES * size)
  }

  async close(): Promise<void> {
    this.closed = true
  }

  protected ready(): void {
    if (this.closed) throw errorOf(CLOSED)
  }

  protected async perform<T>(call: Prepared<T>, _timeoutMs: number, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted()
    return this.performSync(call)
  }

  protected performSync<T>(call: Prepared<T>): T {
    this.sequence += 1
    this.agree(call.shape)
    this.work(call.shape, call.at)
    return call.finish()
  }

  /** MPI itself would mix up, or cut off, what does not fit. */
  private agree(shape: CallShape): void {
    const { uint8 } = this.mpi.kinds
    writeHeader(new DataView(this.header.buffer), 0, this.sequence, shape)
    this.mpi.call('Allgather', this.header, HEADER_BYTES, uint8, this.headers, HEADER_BYTES, uint8, this.mpi.world)
    for (let rank = 0; rank < this.size; rank++) {
      const other = readHeader(this.headers.subarray(rank * HEADER_BYTES, (rank + 1) * HEADER_BYTES))
      if (other && sameShape(other.shape, shape)) continue
      this.closed = true
      throw errorOf({
        code: 'E_TF_CALL_MISMATCH',
        what: `call #${this.sequence} is not the same on all ranks: rank ${rank} asked for ${other ? describe(other.shape) : 'something else'}, rank ${this.rank} for ${describe(shape)}`,
        fix: 'make the same calls in the same order, with the same lengths and kinds, on every rank',
        rank,
      })
    }
  }

  private work({ operation, kind, length, reduction, from }: CallShape, at: number): void {
    const { mpi, size, rank } = this
    const { world, inPlace } = mpi
    const type = mpi.kinds[kind]
    const element = elementSize[kind]
    const joined = mpi.reductions[reduction === 'mean' ? 'sum' : reduction]
    const bytes = (count: number) => this.view.bytes(at, count * element)
    switch (operation) {
      case 'barrier':
        return
      case 'broadcast':
        mpi.call('Bcast', bytes(length), length, type, from, world)
        return
      case 'allGather':
        mpi.call('AllgatherInPlace', inPlace, 0, type, bytes(length * size), length, type, world)
        return
      case 'allReduce':
        mpi.call('Allreduce', inPlace, bytes(length), length, type, joined, world)
        if (reduction === 'mean') this.kernel.divide(kind, at, length * element, size)
        return
      case 'reduceScatter': {
        const parts = Array.from({ length: size }, (_, other) => partOf(length, size, other))
        const counts = Int32Array.from(parts, ({ begin, end }) => end - begin)
        mpi.call('Reduce_scatter', inPlace, bytes(length), counts, type, joined, world)
        const own = counts[rank]! * element
        if (reduction === 'mean') this.kernel.divide(kind, at, own, size)
        this.view.move(at + parts[rank]!.begin * element, at, own)
      }
    }
  }
}

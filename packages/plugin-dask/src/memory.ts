import type { WorkerState } from './present.js'

/** Above this share of its limit a worker is ended, as Dask's nanny would (`distributed.worker.memory.terminate`). */
const END_SHARE = 0.95

/** What is to be done about the workers' memory. */
export interface MemoryWatch {
  /** Takes what the scheduler knows now; gives what to say, and the workers to end. */
  look(workers: readonly WorkerState[]): { readonly lines: readonly string[]; readonly over: readonly WorkerState[] }
  /** What a node's worker last said of itself. */
  last(node: number): WorkerState | undefined
  /** Whether it was one to end. */
  isOver(node: number): boolean
}

/** Says when a worker pauses and goes on; one that is over its limit by two signs of life running is to be ended, once. */
export function watchMemory(): MemoryWatch {
  const states = new Map<number, WorkerState & { readonly times: number }>()
  const ended = new Set<number>()
  return {
    last: (node) => states.get(node),
    isOver: (node) => ended.has(node),
    look(workers) {
      const lines: string[] = []
      const over: WorkerState[] = []
      for (const worker of workers) {
        const before = states.get(worker.node)
        const isOver = worker.limit > 0 && worker.memory > END_SHARE * worker.limit
        const isNew = before?.at !== worker.at
        const times = isOver ? (before?.times ?? 0) + (isNew ? 1 : 0) : 0
        states.set(worker.node, { ...worker, times })
        if (worker.isPaused && !before?.isPaused)
          lines.push(
            `Dask's worker on node ${worker.node} takes no new tasks: it has ${sizes(worker)}; it goes on once that is less`,
          )
        if (times < 2 || ended.has(worker.node)) continue
        ended.add(worker.node)
        over.push(worker)
      }
      return { lines, over }
    },
  }
}

/** `480 MB of the 500 MB that it may have`. */
export const sizes = ({ memory, limit }: Pick<WorkerState, 'memory' | 'limit'>): string =>
  `${size(memory)} of the ${size(limit)} that it may have`

function size(bytes: number): string {
  const [unit, name] = bytes >= 1e9 ? [1e9, 'GB'] : [1e6, 'MB']
  return `${Number((bytes / unit).toPrecision(3))} ${name}`
}

import { Worker } from 'node:worker_threads'
import { markEnded } from '../collectives/threads.js'
import { type Gone, toldError, type WatchStart } from './messages.js'

/**
 * Starts the replicas' threads and says when one ends, also one that cannot say so itself (out of memory): in the memory
 * that a blocked thread looks at, and to replica 0.
 */
export function watch({ port, replicas }: WatchStart, file: URL): void {
  for (const start of replicas) {
    const { rank, share } = start
    const thread = new Worker(file, {
      workerData: start,
      transferList: [start.port],
      execArgv: [],
      name: `gangflow replica ${rank}`,
    })
    let thrown: unknown
    thread.on('error', (error) => (thrown = error))
    thread.once('exit', (code) => {
      const gone: Gone = {
        k: 'gone',
        rank,
        how:
          (thrown as { code?: string } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
            ? 'ran out of memory'
            : thrown === undefined
              ? `exited with code ${code}`
              : 'was ended by an error that nothing caught',
        ...(thrown === undefined ? {} : { error: toldError(thrown) }),
      }
      // Told before it is marked: who wakes by the mark looks for the reason.
      port.postMessage(gone)
      markEnded(share, rank)
    })
  }
}

import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import { diskBelow } from '../datastore/directory/files.js'
import type { JobOutput } from './job-output.js'

/** Milliseconds between two looks at what jobs have written; longer where there are many. */
const LOOK_MS = 100
/** As many files that are not there yet are looked for at a time: their jobs wait in the queue, and a file server has others to serve. */
const LOOKED_FOR = 50
/** Milliseconds in which what is written at once is read at once. */
const GATHER_MS = 3

/**
 * Reads what a run's jobs write, as it comes: where this machine itself writes the disk the kernel tells of it, and in any case
 * it is looked for, as nobody tells what other machines write.
 */
export class JobOutputs {
  readonly #outputs = new Map<string, JobOutput>()
  readonly #told = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #gathering: NodeJS.Timeout | undefined
  #watcher: FSWatcher | undefined
  #watched = ''

  add(path: string, output: JobOutput): void {
    this.#outputs.set(path, output)
    this.#watch(dirname(path))
    if (this.#outputs.size === 1) this.#wake()
  }

  delete(path: string): void {
    this.#outputs.delete(path)
    // Whoever waits for nothing is told nothing.
    if (this.#outputs.size === 0) this.close()
  }

  close(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#gathering)
    this.#watcher?.close()
    this.#watcher = undefined
    this.#outputs.clear()
  }

  #wake(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#look(), Math.max(LOOK_MS, this.#outputs.size))
  }

  async #look(): Promise<void> {
    const all = [...this.#outputs]
    const awaited = all.filter(([, output]) => !output.begun).slice(0, LOOKED_FOR)
    // Next time it is the turn of others.
    for (const [path, output] of all.length > LOOKED_FOR ? awaited : []) {
      this.#outputs.delete(path)
      this.#outputs.set(path, output)
    }
    const begun = all.filter(([, output]) => output.begun)
    await Promise.all([...begun, ...awaited].map(([, output]) => output.read().catch(() => {})))
    if (this.#outputs.size > 0) this.#wake()
  }

  /** A network disk is not even asked: it tells of nobody else, and may hang. */
  #watch(folder: string): void {
    if (this.#watcher && this.#watched === folder) return
    if (!diskBelow(folder).near) return
    this.#watcher?.close()
    this.#watched = folder
    try {
      this.#watcher = watch(
        folder,
        { persistent: false },
        (_, name) => name !== null && this.#tell(`${folder}/${name}`),
      )
      this.#watcher.on('error', () => {})
    } catch {
      // There are as many watches as the kernel lets; it is looked for all the same.
    }
  }

  #tell(path: string): void {
    this.#told.add(path)
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined
      for (const told of this.#told)
        void this.#outputs
          .get(told)
          ?.read()
          .catch(() => {})
      this.#told.clear()
    }, GATHER_MS)
  }
}

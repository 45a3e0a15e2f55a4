import { basename } from 'node:path'

/** How far a copy is, as the event `progress` tells it. */
export interface CopyProgress {
  readonly [key: string]: string | number
  readonly file: string
  /** Sent to whom gets it slowest, of `size`. */
  readonly bytes: number
  readonly size: number
  /** The same for people. */
  readonly line: string
}

/** Milliseconds between two tellings. */
const EVERY_MS = 1_000

/** Keeps count of what a copy's chains have been sent, and tells it while the copy lasts. */
export class CopyMeter {
  readonly #sent: number[] = []
  readonly #timer: NodeJS.Timeout | undefined

  constructor(source: string, size: number, members: number, tell: ((progress: CopyProgress) => void) | undefined) {
    if (!tell) return
    const file = basename(source)
    const begun = performance.now()
    this.#timer = setInterval(() => {
      const bytes = Math.min(...this.#sent)
      if (!Number.isFinite(bytes) || size === 0) return
      const rate = bytes / 1e3 / (performance.now() - begun)
      const percent = Math.floor((100 * bytes) / size)
      const line = `copying ${file} to ${members} members: ${percent} % of ${(size / 1e6).toFixed(0)} MB, ${rate.toFixed(0)} MB/s`
      tell({ file, bytes, size, line })
    }, EVERY_MS)
    this.#timer.unref()
  }

  /** One chain more; what it gives is told how many bytes have been sent along it. */
  begin(): (bytes: number) => void {
    const index = this.#sent.push(0) - 1
    return (bytes) => {
      this.#sent[index] = bytes
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

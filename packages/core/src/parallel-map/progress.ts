import { channel } from 'node:diagnostics_channel'
import { Bar } from './bar.js'
import type { MapOptions, MapProgress } from './contract.js'
import { progressChannel } from './progress-channel.js'

/** Milliseconds between two reports. */
const period = 100
/** The rate is that of so many milliseconds. */
const span = 5000

let maps = 0

/** Counts what a map has done and reports it, now and then and at the end. */
export class Progress {
  readonly #begun = performance.now()
  readonly #samples: { at: number; done: number }[] = [{ at: this.#begun, done: 0 }]
  readonly #label: string | undefined
  readonly #total: () => number | undefined
  readonly #tell: ((progress: MapProgress) => void) | undefined
  readonly #broke: () => void
  readonly #bar: Bar | undefined
  readonly #timer: NodeJS.Timeout | undefined
  readonly #asked: boolean
  readonly #map = ++maps
  #done = 0
  #failed = 0
  #told = false
  /** What the person's function threw: it ends the map, and hears no more. */
  broken: { readonly error: unknown } | undefined

  /** `broke` is called when the function that is told throws. */
  constructor({ progress, label }: MapOptions, total: () => number | undefined, broke: () => void = () => {}) {
    this.#label = label
    this.#broke = broke
    this.#total = total
    this.#tell = typeof progress === 'function' ? progress : undefined
    this.#bar = progress === true ? Bar.on(process.stderr) : undefined
    this.#asked = progress === true || this.#tell !== undefined
    // Whoever listens (a flow's body) hears of every map that takes long enough, unless it was told to be quiet.
    const heard = progress !== false && channel(progressChannel).hasSubscribers
    if (this.#asked || heard) this.#timer = setInterval(() => this.#report(false), period).unref()
  }

  done(count: number): void {
    this.#done += count
  }

  failed(): void {
    this.#done++
    this.#failed++
  }

  /** The last report. */
  end(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    if (this.#asked || this.#told) this.#report(true)
  }

  #report(ended: boolean): void {
    this.#told = true
    const now = performance.now()
    this.#samples.push({ at: now, done: this.#done })
    while (this.#samples.length > 2 && now - this.#samples[1]!.at > span) this.#samples.shift()
    const [first] = this.#samples
    // At the end it is that of the whole map.
    const since = ended ? { at: this.#begun, done: 0 } : first!
    const rate = ((this.#done - since.done) / Math.max(now - since.at, 1)) * 1000
    const total = this.#total()
    const left = total === undefined ? undefined : total - this.#done
    const progress: MapProgress = {
      map: this.#map,
      label: this.#label,
      done: this.#done,
      failed: this.#failed,
      total,
      elapsed: now - this.#begun,
      rate,
      eta: left === undefined || rate === 0 ? undefined : (left / rate) * 1000,
      ended,
    }
    this.#bar?.draw(progress)
    const published = channel(progressChannel)
    if (published.hasSubscribers) published.publish(progress)
    if (this.broken) return
    try {
      this.#tell?.(progress)
    } catch (error) {
      this.broken = { error }
      this.#broke()
    }
  }
}

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GangContext } from '@gangflow/core/plugin'
import type { EpochEnd } from './epoch.js'

/** An epoch of a training: loss, metrics, and the seconds that it took. */
export interface EpochMetrics {
  /** Trainings of the step before this one: 0, 1, … */
  readonly training: number
  readonly epoch: number
  readonly seconds: number
  readonly logs: Readonly<Record<string, number>>
}

/** Name of the checkpoint that has the series, also of an attempt that failed. */
const SERIES = 'tf-metrics'

/** Keeps the series of a step's epochs, and shows each as it ends; the control's alone does so. */
export class Metrics {
  readonly series: EpochMetrics[] = []
  private saving: Promise<unknown> = Promise.resolve()

  constructor(private readonly gang: GangContext) {}

  add(training: number, { epoch, epochs, logs, seconds }: EpochEnd): void {
    this.series.push({ training, epoch, seconds, logs })
    if (!this.gang.isControl) return
    const facts = Object.entries(logs).map(([name, value]) => `${name} ${short(value)}`)
    const line = `epoch ${epoch + 1}/${epochs} ${facts.join(' ')} (${short(seconds)} s)`
    this.gang.progress({ line, training, epoch, epochs, seconds, logs: logs as Record<string, number> })
    const series = [...this.series]
    // The training does not wait for the disk; the last one written has all.
    this.saving = this.saving.then(() => this.gang.checkpoint.save(SERIES, series)).catch(() => {})
  }

  /** The artifact `tfMetrics` of the control: one line of JSON an epoch. */
  async keep(): Promise<void> {
    await this.saving
    if (this.series.length === 0 || !this.gang.isControl) return
    const folder = join(this.gang.temp, 'tf-metrics')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'metrics.jsonl'), this.series.map((one) => `${JSON.stringify(one)}\n`).join(''))
    await this.gang.collect('tfMetrics', folder)
  }
}

const short = (value: number): string => (Number.isFinite(value) ? Number(value.toPrecision(3)).toString() : `${value}`)

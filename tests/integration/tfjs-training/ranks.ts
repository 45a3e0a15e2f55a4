import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Trained {
  readonly weights?: number[]
  readonly hash: string
  readonly history: Record<string, number[]>
  readonly seen: Record<string, number>[]
  readonly evaluated: number[]
  readonly left: number
}

/** What a rank's job gave or threw; undefined: it was killed. */
export interface Answer<T> {
  readonly result?: T
  readonly error?: { code?: string; what?: string; rank?: number; message: string; stack: string }
}

/** Processes on one backend that do the same jobs; of a job of fewer ranks the first ones. */
export class Ranks {
  private readonly directory = mkdtempSync(join(tmpdir(), 'gf-train-'))
  readonly children: ChildProcess[]
  private readonly begun: Promise<unknown>
  private number = 0

  constructor(backend: string, count: number) {
    this.children = Array.from({ length: count }, (_, rank) =>
      fork(new URL('./rank.mjs', import.meta.url), [String(rank), backend, this.directory]),
    )
    this.begun = Promise.all(this.children.map((child) => once(child, 'message')))
  }

  async answers<T>(job: string, options: { size: number }): Promise<(Answer<T> | undefined)[]> {
    await this.begun
    const id = ++this.number
    return Promise.all(
      this.children.slice(0, options.size).map(
        (child) =>
          new Promise<Answer<T> | undefined>((resolve) => {
            const heard = (message: Answer<T> & { id?: number }) => {
              if (message.id === id) settle(message)
            }
            const ended = () => settle(undefined)
            const settle = (answer: Answer<T> | undefined) => {
              child.off('message', heard)
              child.off('exit', ended)
              resolve(answer)
            }
            child.on('message', heard)
            child.once('exit', ended)
            child.send({ id, job, ...options })
          }),
      ),
    )
  }

  async results<T>(job: string, options: { size: number; [option: string]: unknown }): Promise<T[]> {
    const answers = await this.answers<T>(job, options)
    return answers.map((answer, rank) => {
      if (answer?.result) return answer.result
      throw new Error(`rank ${rank} of ${JSON.stringify(options)}: ${answer?.error?.stack ?? 'it died'}`)
    })
  }

  async end(): Promise<void> {
    await Promise.all(
      this.children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      }),
    )
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 })
  }
}

export function difference(one: readonly number[], other: readonly number[]): number {
  if (one.length !== other.length) return Number.POSITIVE_INFINITY
  return one.reduce((most, value, at) => Math.max(most, Math.abs(value - (other[at] as number))), 0)
}

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Step {
  readonly step: string
  readonly [option: string]: unknown
}

export interface StepResult {
  readonly value?: unknown
  readonly error?: {
    readonly code?: string
    readonly what?: string
    readonly rank?: number
    readonly message: string
    readonly name: string
  }
  /** Milliseconds of the machine's monotonic clock. */
  readonly at: number
}

/** Processes that each are one rank, and do what they are told. */
export class Ranks {
  readonly directory = mkdtempSync(join(tmpdir(), 'gf-ranks-'))
  readonly children: ChildProcess[]
  private readonly begun: Promise<unknown>
  private readonly ended: readonly Promise<unknown>[]
  private number = 0
  private groups = 0

  constructor(readonly size: number) {
    this.children = Array.from({ length: size }, (_, rank) =>
      fork(new URL('./fixtures/rank.mjs', import.meta.url), [String(rank)]),
    )
    this.ended = this.children.map((child) => once(child, 'exit'))
    this.begun = Promise.all(this.children.map((child) => once(child, 'message')))
  }

  /** The step that connects all ranks in a group of its own. */
  connect(options: Record<string, unknown> = {}): Step {
    this.groups += 1
    const addresses = this.children.map((_, rank) => join(this.directory, `${this.groups}.${rank}`))
    return { step: 'connect', size: this.size, addresses, secret: 'one secret', connectTimeout: '40s', ...options }
  }

  /** A script for each rank; a rank that has died gives undefined. */
  async run(scripts: (rank: number) => readonly Step[]): Promise<(StepResult[] | undefined)[]> {
    await this.begun
    const id = ++this.number
    return Promise.all(
      this.children.map(async (child, rank) => {
        const answered = new Promise<StepResult[] | undefined>((resolve) => {
          const heard = (message: { id: number; results: StepResult[] }) => {
            if (message.id !== id) return
            child.off('message', heard)
            resolve(message.results)
          }
          child.on('message', heard)
          void this.ended[rank]!.then(() => resolve(undefined))
        })
        child.send({ id, script: scripts(rank) })
        return answered
      }),
    )
  }

  /** Settles when every rank has said that it is past the step before its last. */
  connected(): Promise<unknown> {
    return Promise.all(
      this.children.map(
        (child) =>
          new Promise<void>((resolve) => {
            child.on('message', (message: { last?: boolean }) => message.last && resolve())
          }),
      ),
    )
  }

  end(): void {
    for (const child of this.children) child.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 })
  }
}

import type { GangProcess } from '@gangflow/core/plugin'
import type { Implementation } from './implementation.js'

/** Characters that are kept of each stream of a rank. */
const KEPT = 1 << 20

/** How a launcher marks a line with its rank. */
const marks: Readonly<
  Record<Implementation['launcher'], { readonly options: readonly string[]; readonly line: RegExp }>
> = {
  orte: { options: ['--tag-output'], line: /^\[\d+,(\d+)\]<(stdout|stderr)>:/ },
  prrte: { options: ['--output', 'tag'], line: /^\[\d+,(\d+)\]<(stdout|stderr)>: ?/ },
  hydra: { options: ['-prepend-rank'], line: /^\[(\d+)\] / },
}

/** Options by which a launcher marks its ranks' lines. */
export const markingOptions = ({ launcher }: Implementation): readonly string[] => marks[launcher].options

/** The output of each rank, taken apart from the launcher's. */
export class RankOutput {
  readonly #texts = new Map<string, string>()

  constructor(process: GangProcess, implementation: Implementation) {
    const { line } = marks[implementation.launcher]
    process.onLine(({ stream, text }) => {
      const match = line.exec(text)
      if (!match) return
      const key = `${match[1]} ${match[2] ?? stream}`
      this.#texts.set(key, `${this.#texts.get(key) ?? ''}${text.slice(match[0].length)}\n`.slice(-KEPT))
    })
  }

  of(rank: number): { stdout: string; stderr: string } {
    const text = (stream: string) => this.#texts.get(`${rank} ${stream}`) ?? ''
    return { stdout: text('stdout'), stderr: text('stderr') }
  }
}

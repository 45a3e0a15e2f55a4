/** A worker of Ray Train that failed, as Ray Train tells of it. */
interface TrainFailure {
  readonly rank: number
  /** What happened to it, in a few words. */
  readonly what: string
  readonly lines: readonly string[]
}

/** Errors of those who only lost the one that failed. */
const echo = /Connection (?:closed|reset) by peer|Broken pipe|Socket Timeout|remote process exited|ncclRemoteError/

/**
 * Which worker failed first, from the account of all of them that Ray Train gives (`WorkerGroupError`, the snippets of
 * its ranks in the order of their numbers): one that died comes before an exception of its own, and that before an echo.
 * Undefined where the text has no such account.
 */
export function failedWorker(text: string): TrainFailure | undefined {
  // As the driver raised it: what the controller logged of it, with its name before each line, may have been got over.
  const at = text.search(/^[\w.]*: Training failed due to worker errors:$/m)
  if (at < 0) return undefined
  const parts = text
    .slice(at)
    .split(/^\[Rank ([\d,]+) Error Snippet\]:$/m)
    .slice(1)
  const snippets = parts.flatMap((ranks, index) => {
    if (index % 2 === 1) return []
    const lines = (parts[index + 1] ?? '').split('\n').filter((line) => line.trim() !== '')
    return [{ rank: Number(ranks.split(',')[0]), lines, all: lines.join('\n') }]
  })
  const dead = snippets.find(({ all }) => /died unexpectedly|worker process has died/.test(all))
  const first = dead ?? snippets.find(({ all }) => !echo.test(all)) ?? snippets[0]
  if (!first) return undefined
  const pid = /^\s*pid[:=] ?(\d+)/m.exec(first.all)?.[1]
  const said = first.lines.findLast((line) => /^\w[\w.]*(?:Error|Exception|Exit|Interrupt)\b/.test(line))
  return {
    rank: first.rank,
    what: dead
      ? `Ray Train's worker of rank ${first.rank}${pid === undefined ? '' : ` (pid ${pid})`} died: killed, out of memory, or a crash`
      : `Ray Train's worker of rank ${first.rank} failed: ${(said ?? first.lines.at(-1) ?? '').slice(0, 500)}`,
    lines: first.lines.slice(-30),
  }
}

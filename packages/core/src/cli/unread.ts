/** Exit code of what SIGPIPE ends, as shells tell it (128 + 13). */
const SIGPIPE_CODE = 141

let act: (() => void) | undefined

/** What to do when whoever read this process's output has gone (`| head`, a closed terminal). Returns how to forget it. */
export function whenUnread(then: () => void): () => void {
  act = then
  return () => {
    act = undefined
  }
}

/** Without anything else to do, this process then ends quietly, as a program that knows of no such thing does by SIGPIPE. */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
      if (act === undefined) process.exit(SIGPIPE_CODE)
      act()
    })
  }
}

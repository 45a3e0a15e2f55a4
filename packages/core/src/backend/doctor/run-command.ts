import { execFile } from 'node:child_process'

export interface CommandEnd {
  /** Null: a signal, or it could not start, or its time was over; `stderr` says which. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command with no input; gives its end, whatever it is. */
export function runCommand(
  argv: readonly string[],
  timeoutMs: number,
  place: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal } = {},
): Promise<CommandEnd> {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1 << 20, cwd: '/', ...place } as const
    const child = execFile(argv[0]!, argv.slice(1), options, (error, stdout, stderr) => {
      const { code, killed } = (error ?? {}) as { code?: number | string; killed?: boolean }
      const late = killed ? `it did not end within ${timeoutMs / 1000} s` : undefined
      const why = late ?? (typeof code === 'string' ? error!.message : undefined)
      const exitCode = error === null ? 0 : typeof code === 'number' ? code : null
      resolve({ exitCode, stdout, stderr: why === undefined ? stderr : `${stderr}${why}` })
    })
    child.stdin?.end()
  })
}

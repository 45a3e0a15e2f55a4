import { type SpawnOptions, spawn } from 'node:child_process'

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Buffer
  /** Milliseconds; default 60,000. At its end the command is killed and the promise rejects. */
  readonly timeout?: number
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly stdio?: SpawnOptions['stdio']
  /** Kills the command; the promise rejects. */
  readonly signal?: AbortSignal
}

/** Runs a command and gives its end, whatever it is; rejects only where it cannot start or does not end in time. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input, timeout = 60_000, ...rest } = options
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), { stdio: 'pipe', killSignal: 'SIGKILL', ...rest })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${argv.join(' ')} did not end within ${timeout} ms\n${Buffer.concat(err)}`))
    }, timeout)
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
    })
  })
}

/** Runs a command that must succeed; gives its output. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, signal, stdout, stderr } = await run(argv, options)
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code ?? signal}\n${stderr}${stdout}`)
  return stdout
}

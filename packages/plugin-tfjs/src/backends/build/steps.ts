import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GangflowError } from '@gangflow/core'

/** What every part of the build is told. */
export interface Telling {
  readonly log: (line: string) => void
  readonly signal: AbortSignal
}

/**
 * Makes a folder of the cache once: what `make` leaves in the temporary folder it is given becomes the folder, whole
 * or not at all, also with several makers at a time.
 */
export async function once(folder: string, make: (temporary: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder
  const temporary = `${folder}.${process.pid}`
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  try {
    await make(temporary)
    await mkdir(dirname(folder), { recursive: true })
    await rename(temporary, folder).catch((error) => {
      if (!existsSync(folder)) throw error
    })
    return folder
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; `code` is null where there is no such program. */
export function run(argv: readonly string[], { signal }: Telling, cwd?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = argv
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal, ...(cwd ? { cwd } : {}) })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-65_536)
    })
    child.once('error', (error) =>
      signal.aborted ? reject(signal.reason) : resolve({ code: null, stdout, stderr: error.message }),
    )
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** Runs a program that must succeed; what helps may differ where there is no such program. */
export async function must(
  argv: readonly string[],
  fix: string | { readonly missing: string; readonly failed: string },
  telling: Telling,
  cwd?: string,
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, telling, cwd)
  if (code === 0) return stdout
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(-12).join('\n')
  throw new GangflowError({
    code: 'E_TF_BUILD',
    what: `${argv.slice(0, 4).join(' ')} … ${code === null ? 'cannot be started' : `ended with ${code}`}: ${said}`,
    fix: typeof fix === 'string' ? fix : code === null ? fix.missing : fix.failed,
  })
}

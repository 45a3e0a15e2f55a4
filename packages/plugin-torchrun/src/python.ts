import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { GangflowError } from '@gangflow/core'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The interpreter with its options: as asked, else `GANGFLOW_PYTHON`, else the active virtual environment's, else the
 * nearest `.venv` at or above the flow's folder, else `python3` or `python` on PATH. Throws `E_TORCH_PYTHON`.
 */
export function findPython(asked: readonly string[] | undefined, flowDir: string, env: Environment): string[] {
  if (asked !== undefined) return [lookUp(asked[0]!, flowDir, env), ...asked.slice(1)]
  if (env['GANGFLOW_PYTHON']) return [lookUp(env['GANGFLOW_PYTHON'], flowDir, env)]
  if (env['VIRTUAL_ENV']) {
    const active = join(env['VIRTUAL_ENV'], 'bin', 'python')
    if (isProgram(active)) return [active]
  }
  for (let folder = flowDir; ; folder = dirname(folder)) {
    const local = join(folder, '.venv', 'bin', 'python')
    if (isProgram(local)) return [local]
    if (dirname(folder) === folder) break
  }
  const found = onPath('python3', env) ?? onPath('python', env)
  if (found) return [found]
  throw missing('no python3 on PATH', 'install Python 3.10 or newer, or set GANGFLOW_PYTHON to an interpreter')
}

function lookUp(program: string, flowDir: string, env: Environment): string {
  const found = program.includes('/') ? resolve(flowDir, program) : onPath(program, env)
  if (found && isProgram(found)) return found
  throw missing(`there is no interpreter '${program}'`, 'give `python` (or GANGFLOW_PYTHON) the path of an interpreter')
}

function onPath(name: string, env: Environment): string | undefined {
  return (env['PATH'] ?? '')
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, name))
    .find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function missing(what: string, fix: string): GangflowError {
  return new GangflowError({ code: 'E_TORCH_PYTHON', what, fix })
}

import { GangflowError } from '../errors/base.js'
import type { DoctorCheck } from './contract.js'
import { memberPython } from './engine/python.js'

/** A plugin's check that its framework is there for the step's Python; `ask` prints what was found, versions first. */
export interface PythonCheck {
  readonly name: string
  readonly ask: string
  /** What `ask` imports. */
  readonly module: string
  /** Of the error. */
  readonly code: string
  /** A command that brings it. */
  readonly install: string
}

/** Asks the Python that a body would take; hosts that answer differently are told of. */
export function pythonCheck<Options extends { readonly python?: string | readonly string[] }>(
  about: PythonCheck,
): DoctorCheck<Options> {
  const { name, ask, module, code, install } = about
  const other = 'name an interpreter that has it: python= in the hosts file, GANGFLOW_PYTHON'
  return {
    name,
    command: ({ options, python, flowDir }) => [
      ...memberPython(options.python ?? (flowDir === undefined ? python : undefined)),
      '-c',
      ask,
    ],
    judge({ exitCode, stdout, stderr }) {
      if (exitCode === 0) return stdout.trim()
      const last = stderr.trim().split('\n').at(-1) || `exit code ${exitCode}`
      const [what, fix] =
        exitCode === 127
          ? [`there is no such Python: ${last}`, `install Python there, or ${other}`]
          : [`its Python cannot import ${module}: ${last}`, `${install}, or ${other}`]
      throw new GangflowError({ code, what, fix })
    },
    alike: true,
    timeout: '2m',
  }
}

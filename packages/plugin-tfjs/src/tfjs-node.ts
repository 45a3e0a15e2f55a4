#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { GangflowError } from '@gangflow/core'
import { buildNode } from './backends/build/build.js'

const help = `gangflow-tfjs-node [--tensorflow FOLDER] [--rebuild]

Has @tensorflow/tfjs-node load in the project of this folder. Where its prebuilt library cannot be downloaded, its addon
is compiled (by \${CXX:-g++}) against the libraries of TensorFlow for Python: those of FOLDER, else of a Python that has
it (GANGFLOW_PYTHON, the active environment, .venv, python3), else of the wheel that pip fetches (270 MB). What is made lies
in ~/.cache/gangflow/tfjs, so that running it again, after each \`npm ci\`, takes a second.
--rebuild builds it even where one loads. Linux only.
`
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => stop.abort(Object.assign(new Error(signal), { ended: true })))
try {
  const { values } = parseArgs({
    options: { tensorflow: { type: 'string' }, rebuild: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) process.stdout.write(help)
  else {
    const { tensorflow, rebuild = false } = values
    const told = { log: (line: string) => console.error(line), signal: stop.signal }
    console.log(
      await buildNode({
        folder: process.cwd(),
        env: process.env,
        rebuild,
        ...told,
        ...(tensorflow ? { tensorflow } : {}),
      }),
    )
  }
} catch (error) {
  const known =
    error instanceof GangflowError ||
    stop.signal.aborted ||
    (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  console.error(known ? (error as Error).message : error)
  process.exitCode = stop.signal.aborted ? 130 : 1
}

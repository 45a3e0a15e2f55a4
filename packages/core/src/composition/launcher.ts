import { commandLine } from '../runtime/command.js'
import type { Engine, ResumeOptions, RunHandle, RunOptions, RunResult } from '../runtime/contract.js'
import { startHandle } from '../runtime/control.js'
import { executeRun } from '../runtime/run.js'
import { runContainer } from './container.js'
import { readSettings } from './settings.js'
import { tokens } from './tokens.js'

/** The engine, put together: what `run()`, `resume()` and the command line start runs with. */
export const launcher: Engine = {
  run: (file, options = {}) => launch('run', file, options),
  resume: (file, options = {}) => launch('resume', file, options),
}

function launch(verb: 'run' | 'resume', file: string, options: RunOptions & ResumeOptions): RunHandle {
  const about = { flow: file, command: commandLine(verb, file, options), signal: options.signal }
  return startHandle(about, async (control) => {
    const settings = await readSettings(file, options, verb === 'resume')
    const container = runContainer(settings)
    let result: RunResult | undefined
    try {
      result = await executeRun(await container.resolve(tokens.services), settings.request, control)
      return result
    } finally {
      // That all of it has reached the disk matters to a run that is done; another one has its own account.
      await container
        .resolve(tokens.datastore)
        .close()
        .catch((error: unknown) => {
          if (result?.status === 'done') throw error
        })
      await container.dispose()
    }
  })
}

import { Client } from '../client/client.js'
import { executeAttach } from '../runtime/attach.js'
import { attachLine, commandLine } from '../runtime/command.js'
import type { AttachOptions, Engine, ResumeOptions, RunHandle, RunOptions, RunResult } from '../runtime/contract.js'
import { startHandle } from '../runtime/control.js'
import { executeRun, type RunServices } from '../runtime/run.js'
import { readAttachable } from '../runtime/take-up.js'
import { runContainer } from './container.js'
import { readSettings, type Settings } from './settings.js'
import { tokens } from './tokens.js'

/** The engine, put together: what `run()`, `resume()` and the command line start runs with. */
export const launcher: Engine = {
  run: (file, options = {}) => launch('run', file, options),
  resume: (file, options = {}) => launch('resume', file, options),
  attach: (pathspec, options = {}) => attach(pathspec, options),
}

function launch(verb: 'run' | 'resume', file: string, options: RunOptions & ResumeOptions): RunHandle {
  const about = { flow: file, command: commandLine(verb, file, options), signal: options.signal }
  return startHandle(about, async (control) => {
    const settings = await readSettings(file, options, verb === 'resume')
    return await within(settings, (services) => executeRun(services, settings.request, control))
  })
}

/** With the backend, options and environment that its first launcher had. */
function attach(pathspec: string, options: AttachOptions): RunHandle {
  const { datastore, takeOver, signal } = options
  const about = { flow: pathspec, command: attachLine(pathspec, options), signal }
  return startHandle(about, async (control) => {
    const client = new Client(datastore)
    const { flow, id, user } = client.run(pathspec)
    const found = await readAttachable(client.datastore, flow, id)
    const { backend, options: backendOptions, compiled, env, tags, gangTimeouts } = found.launch
    const settings: Settings = {
      options: { backend, backendOptions, datastore: client.datastore.location },
      request: { file: compiled.file, user, tags, env, gangTimeouts },
    }
    return await within(settings, (services) => executeAttach(services, found, takeOver ? { takeOver } : {}, control))
  })
}

/** Has the services of a run made, and closes what they have opened. */
async function within(settings: Settings, execute: (services: RunServices) => Promise<RunResult>): Promise<RunResult> {
  const container = runContainer(settings)
  let result: RunResult | undefined
  try {
    result = await execute(await container.resolve(tokens.services))
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
}

import { pathToFileURL } from 'node:url'
import { handedOver, ownCore } from '../../compile/own-core.js'
import type { CommandModule } from '../commands.js'
import { openClient } from '../open-client.js'
import { resolveRunPath } from '../run-path.js'
import { followRun } from '../running.js'

/** `gangflow attach RUN`: leads a run on that lives in its jobs. */
export const command: CommandModule['command'] = async (args) => {
  const client = openClient(args)
  const { run } = await resolveRunPath(client, String(args['run']))
  const core = ownCore(run.file)
  if (core.differs) {
    process.env[handedOver] = '1'
    // The flow's own core reads the same process.argv, and sets the exit code.
    await import(pathToFileURL(core.bin).href)
    return undefined
  }
  const options = { datastore: client.datastore.location, ...(args['takeOver'] === true && { takeOver: true }) }
  return await followRun(args, (engine) => {
    const handle = engine.attach(run.pathspec, options)
    if (args['cancel'] === true) handle.id.then(() => handle.cancel('gangflow attach --cancel')).catch(() => {})
    return handle
  })
}

import type { CommandModule } from '../commands.js'
import { runCommand } from '../running.js'

/** `gangflow resume FLOW`. Parameters stay those of the origin, so none are taken. */
export const command: CommandModule['command'] = (args, rest) =>
  runCommand(args, rest, (engine, file, { parameters: _, parametersAs: __, ...options }) =>
    engine.resume(file, {
      ...options,
      ...(typeof args['origin'] === 'string' && { origin: args['origin'] }),
      ...(typeof args['from'] === 'string' && { from: args['from'] }),
    }),
  )

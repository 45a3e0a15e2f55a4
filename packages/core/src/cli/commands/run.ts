import type { CommandModule } from '../commands.js'
import { runCommand } from '../running.js'

/** `gangflow run FLOW`. */
export const command: CommandModule['command'] = (args, rest) =>
  runCommand(args, rest, (engine, file, options) => engine.run(file, options))

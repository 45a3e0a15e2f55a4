import { commands } from './commands.js'
import { commandParser, topParser } from './parser.js'

/** The help of the command as a whole (`gangflow`) and of each subcommand, as yargs prints it. */
export async function helpTexts(): Promise<Record<string, string>> {
  const texts: Record<string, string> = { gangflow: `${await topParser().getHelp()}\n` }
  for (const definition of commands) texts[definition.name] = `${await commandParser(definition).getHelp()}\n`
  return texts
}

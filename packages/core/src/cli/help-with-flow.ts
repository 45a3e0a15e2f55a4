import { existsSync } from 'node:fs'
import { exitCodes } from '../errors/exit-codes.js'
import { commands } from './commands.js'
import { describeFlowFile } from './describing.js'
import { parameterLines } from './graph-text.js'
import { commandParser } from './parser.js'
import { styleOf } from './style.js'

/** `gangflow COMMAND … --help`: the command's help, and the parameters of the flow that is named with it. */
export async function helpWithFlow(words: readonly string[]): Promise<number> {
  const definition = commands.find(({ name }) => name === words[0])
  if (definition === undefined) {
    console.log(await (await import('./parser.js')).topParser().getHelp())
    return exitCodes.usage
  }
  console.log(await commandParser(definition).getHelp())
  const file = words.find((word, index) => index > 0 && !word.startsWith('-') && existsSync(word))
  if (definition.parameters === true && file !== undefined) {
    const style = styleOf(process.stdout, {})
    const { name, parameters } = await describeFlowFile({ flow: file })
    console.log(`\nParameters of ${name}:`)
    console.log(parameters.length === 0 ? '  none' : parameterLines(parameters, style).join('\n'))
  }
  return exitCodes.ok
}

import yargs, { type Argv } from 'yargs'
import { GangflowError } from '../errors/base.js'
import { type CommandDefinition, commands } from './commands.js'

/** What the words of a command line mean. */
export interface Parsed {
  readonly command: CommandDefinition
  readonly args: Readonly<Record<string, unknown>>
  readonly rest: readonly string[]
}

const common = (parser: Argv): Argv =>
  parser
    .option('json', { type: 'boolean', describe: 'print JSON, for programs' })
    .option('color', { type: 'boolean', describe: 'colours (default: on a terminal)' })
    .version(false)
    .help('help', 'show this text')
    .alias('help', 'h')
    .wrap(100)
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? usage(message)
    })

const usage = (what: string): GangflowError =>
  new GangflowError({ code: 'E_USAGE', what, fix: 'gangflow --help lists the commands and their options' })

/** The parser of `gangflow` as a whole: its help names the commands. */
export function topParser(): Argv {
  let parser = common(yargs([]).scriptName('gangflow').usage('gangflow COMMAND\n\nFlows with gang steps.'))
  for (const { usage: shape, describe, options } of commands) parser = parser.command(shape, describe, options)
  return parser
    .command('completion', 'Print the completion script for your shell')
    .option('version', { type: 'boolean', describe: 'show the version' })
    .epilogue(
      'gangflow COMMAND --help says more. Exit codes: 0 done, 1 a step failed, 2 bad input, 3 infrastructure, 4 time limit, 5 preempted, 6 detached, 7 taken over by another launcher, 130 cancelled.',
    )
}

/** The parser of one command. */
export function commandParser(definition: CommandDefinition): Argv {
  const { usage: shape, describe, options, examples = [], parameters } = definition
  let parser = common(yargs([]).scriptName('gangflow'))
    .parserConfiguration({
      'unknown-options-as-args': parameters === true,
      'camel-case-expansion': true,
    })
    .command(`$0 ${shape.split(' ').slice(1).join(' ')}`.trim(), describe, options)
    .usage(`gangflow ${shape}\n\n${describe}`)
  for (const [command, what] of examples) parser = parser.example(command, what)
  if (parameters !== true) parser = parser.strict()
  else parser = parser.epilogue("Further flags are the flow's parameters: `gangflow run FLOW --help` lists them.")
  return parser
}

/** Understands a command line; throws `E_USAGE` on one that means nothing. */
export async function parse(words: readonly string[]): Promise<Parsed> {
  const [name, ...others] = words
  const command = commands.find((candidate) => candidate.name === name)
  if (command === undefined) {
    throw new GangflowError({
      code: 'E_USAGE',
      what: name === undefined || name.startsWith('-') ? 'no command given' : `'${name}' is no command`,
      fix: `the commands are: ${commands.map((each) => each.name).join(', ')}`,
    })
  }
  const { own, handedOn } = split(others, command.handsOn)
  const args = await commandParser(command).parseAsync(own)
  if (command.handsOn !== undefined) return { command, args, rest: handedOn }
  const rest = (args['_'] as (string | number)[]).map(String)
  if (rest.length > 0 && command.parameters !== true) throw usage(`unexpected: ${rest.join(' ')}`)
  return { command, args, rest }
}

/** The words of the command itself, and those behind its first `count` that are no options. */
function split(words: readonly string[], count = Number.POSITIVE_INFINITY): { own: string[]; handedOn: string[] } {
  let left = count
  const last = words.findIndex((word) => !word.startsWith('-') && --left === 0)
  const end = last < 0 ? words.length : last + 1
  const handedOn = words.slice(end)
  return { own: words.slice(0, end), handedOn: handedOn[0] === '--' ? handedOn.slice(1) : handedOn }
}

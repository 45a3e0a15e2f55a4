import { GangflowError } from '../errors/base.js'
import { exitCodes } from '../errors/exit-codes.js'
import { errorLines, exitCodeOf } from './failure.js'
import { styleOf } from './style.js'
import { watchOutput } from './unread.js'

/** Runs a command line and gives its exit code (or undefined when another core set it); every error ends on stderr. */
export async function main(words: readonly string[]): Promise<number | undefined> {
  watchOutput()
  try {
    const { handOver } = await import('./hand-over.js')
    if (await handOver(words)) return undefined
    if (words[0] === 'completion' || words.includes('--get-yargs-completions')) {
      const { completion } = await import('./commands/completion.js')
      return await completion(words)
    }
    if (words.some((word, index) => index > 0 && (word === '--help' || word === '-h'))) {
      const { helpWithFlow } = await import('./help-with-flow.js')
      return await helpWithFlow(words)
    }
    const { parse } = await import('./parser.js')
    const { command, args, rest } = await parse(words)
    return await (await command.load()).command(args, rest)
  } catch (error) {
    const json = words.includes('--json')
    if (json) {
      const facts = GangflowError.is(error) ? error.toJSON() : { code: 'E_DEFECT', what: String(error) }
      process.stdout.write(`${JSON.stringify({ type: 'error', error: facts })}\n`)
    }
    const style = styleOf(process.stderr, { ...(words.includes('--no-color') && { color: false }) })
    process.stderr.write(`${errorLines(error, style).join('\n')}\n`)
    return GangflowError.is(error) ? exitCodeOf(error) : exitCodes.infrastructure
  }
}

import { exitCodes } from '../../errors/exit-codes.js'
import { commands } from '../commands.js'
import { helpTexts } from '../help-text.js'
import { topParser } from '../parser.js'

/** `gangflow completion` prints the script for $SHELL; the script asks with `--get-yargs-completions`. */
export async function completion(words: readonly string[]): Promise<number> {
  if (words[0] === 'completion') {
    topParser().showCompletionScript()
    return exitCodes.ok
  }
  // The script passes the words typed so far behind the marker, the command's own name first.
  const [, name = '', ...typed] = words.slice(words.indexOf('--get-yargs-completions') + 1)
  const known = commands.some((candidate) => candidate.name === name)
  const offered = known ? await flagsOf(name) : [...commands.map((each) => each.name), 'completion']
  const begun = known ? (typed.at(-1) ?? '') : name
  // A word that is no flag is a file: the shell completes those itself.
  if (!known || begun.startsWith('-')) for (const word of offered) if (word.startsWith(begun)) console.log(word)
  return exitCodes.ok
}

async function flagsOf(name: string): Promise<string[]> {
  const text = (await helpTexts())[name] ?? ''
  return [...text.matchAll(/^\s+(?:-\w, )?(--[\w-]+)/gm)].map((match) => match[1]!)
}

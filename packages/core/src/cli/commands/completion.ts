import { exitCodes } from '../../errors/exit-codes.js'
import { topParser } from '../parser.js'

/** `gangflow completion` prints the script for $SHELL; the script asks with `--get-yargs-completions`. */
export async function completion(words: readonly string[]): Promise<number> {
  if (words[0] === 'completion') {
    topParser().showCompletionScript()
    return exitCodes.ok
  }
  // The script passes the words typed so far behind the marker.
  const typed = words.slice(words.indexOf('--get-yargs-completions') + 1)
  for (const word of await topParser().getCompletion([...typed])) console.log(word)
  return exitCodes.ok
}

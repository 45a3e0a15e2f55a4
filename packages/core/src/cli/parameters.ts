import { GangflowError } from '../errors/base.js'

/**
 * The flow's parameters among the words that are no option of gangflow: `--lr 0.1`, `--lr=0.1`, `--fast`,
 * `--no-fast`. Names stay flags and values text; the flow's own types read them.
 */
export function parameterWords(rest: readonly string[], given: readonly string[] = []): Record<string, string> {
  const values: Record<string, string> = {}
  for (const pair of given) {
    const at = pair.indexOf('=')
    if (at < 1) throw complaint(`--param ${pair} is not NAME=VALUE`)
    values[pair.slice(0, at)] = pair.slice(at + 1)
  }
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index]!
    if (!word.startsWith('--') || word === '--') throw complaint(`'${word}' is neither an option nor a value of one`)
    const at = word.indexOf('=')
    const next = rest[index + 1]
    if (at !== -1) values[word.slice(2, at)] = word.slice(at + 1)
    else if (next !== undefined && !/^--\D/.test(next)) {
      values[word.slice(2)] = next
      index++
    } else if (word.startsWith('--no-')) values[word.slice(5)] = 'false'
    else values[word.slice(2)] = 'true'
  }
  return values
}

const complaint = (what: string): GangflowError =>
  new GangflowError({ code: 'E_USAGE', what, fix: 'parameters are written --name value or --name=value' })

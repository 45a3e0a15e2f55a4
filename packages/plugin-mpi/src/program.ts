import { wrong } from './checks.js'

/** What only a shell would act on, outside quotes. */
const shells = /[|&;<>()$`*?[\]{}]/

/**
 * The words of a command as a POSIX shell reads them: quotes and backslashes are taken off. What the shell would do
 * besides (variables, globs, pipes) is refused, since no shell runs it.
 */
export function programWords(where: string, text: string): string[] {
  const result: string[] = []
  let word: string | undefined
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!
    if (/\s/.test(letter)) {
      if (word !== undefined) result.push(word)
      word = undefined
    } else if (letter === "'") {
      const end = text.indexOf("'", at + 1)
      if (end < 0) throw open(where, text)
      word = (word ?? '') + text.slice(at + 1, end)
      at = end
    } else if (letter === '"') {
      word ??= ''
      for (at++; text[at] !== '"'; at++) {
        if (at >= text.length) throw open(where, text)
        if (text[at] === '$' || text[at] === '`') throw shellNeeded(where, text, text[at]!)
        if (text[at] === '\\' && '"\\$`'.includes(text[at + 1] ?? 'x')) at++
        word += text[at]
      }
    } else if (letter === '\\') {
      if (at + 1 >= text.length) throw open(where, text)
      word = (word ?? '') + text[++at]
    } else if (shells.test(letter) || (letter === '~' && word === undefined)) {
      throw shellNeeded(where, text, letter)
    } else {
      word = (word ?? '') + letter
    }
  }
  if (word !== undefined) result.push(word)
  return result
}

const open = (where: string, text: string) => wrong(where, 'program', text, 'a program whose quotes are closed')

const shellNeeded = (where: string, text: string, letter: string) =>
  wrong(where, 'program', text, `the words as a list, or put '${letter}' in quotes; for a shell: ['sh', '-c', '…']`)

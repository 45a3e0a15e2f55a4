#!/usr/bin/env node
// Compiled to CommonJS, unlike other entries: Node starts that sooner.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadCompiled } from './body/load-shared.js'
import { compiledFolder } from './cli/compiled-folder.js'
import { leaveAnyway } from './cli/leave.js'

// The text of --help and --version is made at build, so that asking costs little more than starting Node.
const words = process.argv.slice(2)
const quick = quickAnswer(words)
// Whoever reads it may have gone.
if (quick !== undefined) process.stdout.on('error', () => process.exit(141)).write(quick)
else {
  const label = ['run', 'resume', 'check', 'show'].includes(words[0]!) ? `cli-${words[0]}` : 'cli'
  const { main } = loadCompiled(__dirname, 'cli-main', compiledFolder(), label) as typeof import('./cli/main.js')
  void main(words).then((code) => {
    if (code !== undefined) process.exitCode = code
    leaveAnyway(__dirname)
  })
}

function quickAnswer(given: readonly string[]): string | undefined {
  const read = (name: string) => readFileSync(join(__dirname, name), 'utf8')
  const [first, second] = given
  const asksHelp = (word: string | undefined) => word === '--help' || word === '-h'
  if (given.length === 0 || (given.length === 1 && (asksHelp(first) || first === 'help'))) return help(read, 'gangflow')
  if (given.length === 1 && (first === '--version' || first === '-v')) {
    return `${(JSON.parse(read('../package.json')) as { version: string }).version}\n`
  }
  if (given.length === 2 && asksHelp(second)) return help(read, first!)
  if (given.length === 2 && first === 'help') return help(read, second!)
  return undefined
}

function help(read: (name: string) => string, name: string): string | undefined {
  return (JSON.parse(read('./help.json')) as Record<string, string>)[name]
}

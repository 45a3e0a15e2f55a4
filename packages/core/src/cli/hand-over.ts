import { pathToFileURL } from 'node:url'
import { handedOver, ownCore } from '../compile/own-core.js'
import { commands } from './commands.js'

/**
 * Lets the core that the flow itself resolves do the work when this command is another copy, such as a global one
 * (DESIGN D14). True when it did: it has set the exit code.
 */
export async function handOver(words: readonly string[]): Promise<boolean> {
  const definition = commands.find(({ name }) => name === words[0])
  if (definition === undefined || !definition.usage.includes('<flow>')) return false
  const file = words.find((word, index) => index > 0 && !word.startsWith('-') && /\.[cm]?[jt]sx?$/.test(word))
  if (file === undefined) return false
  const core = ownCore(file)
  if (!core.differs) return false
  process.env[handedOver] = '1'
  // The other command reads the same process.argv.
  await import(pathToFileURL(core.bin).href)
  return true
}

import { quoted } from '../../errors/shell-word.js'
import type { RuntimeLayer } from './contract.js'

/** The file that says that a layer is whole. */
export const completeMark = '.complete'

/**
 * A command for a plain `sh` that ends with 0 when the layer is whole in this directory of the host (absolute, or from
 * the home directory: `~/…`), with 3 when it is to be sent. It then counts as used.
 */
export function presentCommand(directory: string, { name, files }: RuntimeLayer): string {
  const sizes = files.map(({ path, size }) => `[ "$(wc -c <${quoted(path)})" -eq ${size} ]`)
  const checks = [`cd ${place(directory)}/${name}`, `[ -f ${completeMark} ]`, ...sizes, `touch . ${completeMark}`]
  return `(${checks.join(' && ')}) 2>/dev/null || exit 3`
}

/** In single quotes, but for a leading \`~\`, which the shell is to read. */
const place = (directory: string): string =>
  directory.startsWith('~/') ? `"$HOME"/${quoted(directory.slice(2))}` : quoted(directory)

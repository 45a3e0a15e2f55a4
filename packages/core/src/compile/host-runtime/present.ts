import { quoted } from '../../errors/shell-word.js'
import type { RuntimeLayer } from './contract.js'

/** The file that says that a layer is whole. */
export const completeMark = '.complete'

/**
 * A command for a plain `sh` that ends with 0 when the layer is whole in this directory of the host (absolute, or from
 * the home directory: `~/…`), with 3 when it is to be sent. It then counts as used.
 */
export function presentCommand(directory: string, { name, files }: RuntimeLayer): string {
  // One process for all of them, as each costs a host a millisecond or more; `echo` makes one blank of any.
  const lines = files.map(({ path, size }) => `${size} ${path}`)
  const total = files.reduce((sum, { size }) => sum + size, 0)
  const told = [...lines, ...(files.length > 1 ? [`${total} total`] : [])].join(' ')
  const sizes = `[ "$(echo $(LC_ALL=C wc -c ${files.map(({ path }) => quoted(path)).join(' ')}))" = ${quoted(told)} ]`
  const checks = [`cd ${place(directory)}/${name}`, `[ -f ${completeMark} ]`, sizes, `touch . ${completeMark}`]
  return `(${checks.join(' && ')}) 2>/dev/null || exit 3`
}

/** In single quotes, but for a leading \`~\`, which the shell is to read. */
const place = (directory: string): string =>
  directory.startsWith('~/') ? `"$HOME"/${quoted(directory.slice(2))}` : quoted(directory)

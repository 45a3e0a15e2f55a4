import type { RuntimeLayer } from './contract.js'

/** The file that says that a layer is whole. */
export const completeMark = '.complete'

/** Days for which a layer that nobody asks for is kept. */
const KEPT_DAYS = 30

/**
 * A command for a plain `sh` that ends with 0 when the layer is whole in this directory of the host (absolute, or from
 * the home directory: `~/…`), with 3 when it is to be sent. It then counts as used.
 */
export function presentCommand(directory: string, { name, files }: RuntimeLayer): string {
  const sizes = files.map(({ path, size }) => `[ "$(wc -c <${quoted(path)})" -eq ${size} ]`)
  const checks = [`cd ${place(directory)}/${name}`, `[ -f ${completeMark} ]`, ...sizes, `touch . ${completeMark}`]
  return `(${checks.join(' && ')}) 2>/dev/null || exit 3`
}

/**
 * A command for a plain `sh` with `tar` that reads the layer's tar on its stdin. Whole or not at all, also when it is
 * killed or the stream ends early; several may do it at once. What was there is replaced.
 */
export function unpackCommand(directory: string, { name }: RuntimeLayer): string {
  const kind = name.slice(0, name.indexOf('-'))
  return `set -eu
umask 077
mkdir -p ${place(directory)}
cd ${place(directory)}
t=.new-${name}-$$
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$t"
tar -xzf - -C "$t"
[ -f "$t/${completeMark}" ]
touch "$t/${completeMark}"
if [ -e ${name} ]; then mkdir "$t.old" && mv ${name} "$t.old/" 2>/dev/null || :; rm -rf "$t.old"; fi
mv "$t" ${name} 2>/dev/null || [ -f ${name}/${completeMark} ]
rm -rf ${name}/.new-*
find . -maxdepth 1 \\( -name '${kind}-*' -o -name '.new-*' \\) ! -name ${name} -mtime +${KEPT_DAYS} -exec rm -rf {} + 2>/dev/null || :
`
}

/** In single quotes, but for a leading \`~\`, which the shell is to read. */
const place = (directory: string): string =>
  directory.startsWith('~/') ? `"$HOME"/${quoted(directory.slice(2))}` : quoted(directory)

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

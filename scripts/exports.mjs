// Checks what is published: unused code (knip), each package as it is packed (publint, and attw for its types), and
// that a tarball holds its licence and nothing of the build's own. Needs a build. Exits 1 on any complaint.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

process.chdir(new URL('..', import.meta.url).pathname)
const packed = mkdtempSync(join(tmpdir(), 'gangflow-packed-'))

/** Runs a tool of the repository; gives its output when it fails, else nothing. */
const tool = async (name, args) => {
  try {
    await promisify(execFile)(join('node_modules', '.bin', name), args, { maxBuffer: 1 << 26 })
    return []
  } catch (error) {
    return [`${name} ${args.join(' ')}\n${error.stdout}${error.stderr}`]
  }
}

const checkPackage = async (folder) => {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  if (manifest.private) return []
  const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--pack-destination', packed, `./${folder}`])
  const [{ filename, files }] = JSON.parse(stdout)
  const tarball = join(packed, filename)
  const complaints = []
  for (const name of ['LICENSE', 'README.md'])
    if (!files.some(({ path }) => path === name)) complaints.push(`is packed without ${name}`)
  for (const { path } of files) if (/\.tsbuildinfo$|\.test\./.test(path)) complaints.push(`packs ${path}`)
  const { messages } = await publint({ strict: true, pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer } })
  for (const message of messages) complaints.push(formatMessage(message, manifest))
  complaints.push(...(await tool('attw', [tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-emoji'])))
  return complaints.map((complaint) => `${manifest.name}: ${complaint}`)
}

const found = await Promise.all([
  tool('knip', ['--exclude', 'types', '--no-config-hints']),
  ...readdirSync('packages').map((name) => checkPackage(join('packages', name))),
])
rmSync(packed, { recursive: true })
const complaints = found.flat()
if (complaints.length > 0) {
  console.error(complaints.join('\n'))
  process.exit(1)
}

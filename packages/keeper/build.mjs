// Compiles the helper for this platform into dist/PLATFORM/: static where libc allows it, else dynamic. Without a
// compiler, a prebuilt package serves; without either, gangflow falls back to process groups, and this says so.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { keeperBinary, platform } from './index.js'

const folder = new URL('.', import.meta.url).pathname
const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
const sources = readdirSync(join(folder, 'src'), { recursive: true }).map((file) => join(folder, 'src', file))
const output = join(folder, 'dist', platform, 'gangflow-keeper')
// Named by this process: several builds may run at once.
const fresh = `${output}.${process.pid}`
const modified = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0

if (process.platform !== 'linux') {
  console.warn(`@gangflow/keeper: no native helper on ${platform}; process groups serve instead`)
} else if (Math.max(...sources.map(modified), modified(import.meta.filename)) > modified(output)) {
  mkdirSync(join(folder, 'dist', platform), { recursive: true })
  const compile = (compiler, ...more) =>
    spawnSync(
      compiler,
      [
        ...['-std=gnu11', '-O2', '-s', '-Wall', '-Wextra', `-DKEEPER_VERSION="${version}"`, ...more],
        ...['-o', fresh, ...sources.filter((file) => file.endsWith('.c') && !file.includes('/addon/'))],
      ],
      { encoding: 'utf8' },
    )
  const compilers = [process.env.CC, 'cc', 'gcc', 'clang'].filter(Boolean)
  const compiler = compilers.find((name) => spawnSync(name, ['--version']).status === 0)
  if (compiler) {
    let result = compile(compiler, '-static')
    if (result.status !== 0) result = compile(compiler)
    if (result.status !== 0) {
      console.error(result.stderr)
      process.exit(1)
    }
    if (result.stderr) console.warn(result.stderr)
    renameSync(fresh, output)
    // Without it the command of an old Node ends by a signal where a disk hangs: no reason to fail.
    const words = ['-std=gnu11', '-O2', '-s', '-Wall', '-Wextra', '-shared', '-fPIC', '-nostdlib', '-o', fresh]
    const made = spawnSync(compiler, [...words, join(folder, 'src', 'addon', 'exit.c')], { encoding: 'utf8' })
    if (made.status === 0) renameSync(fresh, join(folder, 'dist', platform, 'exit.node'))
    else console.warn(made.stderr)
  } else if (!keeperBinary()) {
    console.warn(
      `@gangflow/keeper: no C compiler (looked for ${compilers.join(', ')}) and no prebuilt @gangflow/keeper-${platform}.\n` +
        '  gangflow will use process groups: processes that leave their session may outlive a kill -9 of their parent.\n' +
        '  fix: install gcc or clang and build again, or install the platform package',
    )
  }
}

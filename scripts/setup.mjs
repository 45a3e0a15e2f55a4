// Gets this checkout ready: npm packages as the lock file has them, a C compiler for the keeper where one can be had,
// then the build. Running it again costs only the build. What cannot be had is named with the command that would fix it.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'

process.chdir(new URL('..', import.meta.url).pathname)
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.version} is too old`, 'install Node 20.19 or newer')

/** Runs a command with its output shown; true when it succeeded. */
const run = (command, args) => spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
const has = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0

const stamp = 'node_modules/.gangflow-lock'
const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex')
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  console.log('setting up: npm packages')
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  // A registry that lacks some platform's optional package makes `ci` refuse the lock; `install` does without it.
  if (!run('npm', ['ci', ...quiet]) && !run('npm', ['install', '--no-save', ...quiet]))
    fail('npm could not install the packages', 'npm ci')
  writeFileSync(stamp, lock)
}
if (!has('cc') && !has('gcc') && !has('clang')) {
  const root = process.getuid?.() === 0 && has('apt-get')
  console.log('setting up: a C compiler for the keeper')
  const got = root && run('apt-get', ['update', '-q']) && run('apt-get', ['install', '-qy', 'gcc', 'libc6-dev'])
  if (!got && process.env.CI) fail('there is no C compiler', 'apt-get install gcc libc6-dev')
  if (!got) console.warn('no C compiler: gangs run without the keeper\n  fix: apt-get install gcc libc6-dev')
}
console.log('building')
execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' })
// npm links a bin only where its file exists at the install: here it comes with the build.
const bin = 'node_modules/.bin/gangflow'
rmSync(bin, { force: true })
symlinkSync('../@gangflow/core/dist/cli.js', bin)
chmodSync('packages/core/dist/cli.js', 0o755)

function fail(what, fix) {
  console.error(`${what}\n  fix: ${fix}`)
  process.exit(1)
}

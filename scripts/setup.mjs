// Installs what the named purpose needs: npm packages, then the build.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

process.chdir(new URL('..', import.meta.url).pathname)
const run = (command, args) => execFileSync(command, args, { stdio: 'inherit' })
if (!existsSync('node_modules/.package-lock.json')) {
  try {
    run('npm', ['ci', '--no-audit', '--no-fund'])
  } catch {
    // A registry that lacks some platform's optional package makes `ci` refuse the lock; `install` does without it.
    run('npm', ['install', '--no-audit', '--no-fund', '--no-save'])
  }
}
run(process.execPath, ['scripts/build.mjs'])

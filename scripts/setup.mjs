// Installs what the named purpose needs: npm packages, then the build.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

process.chdir(new URL('..', import.meta.url).pathname)
const run = (command, args) => execFileSync(command, args, { stdio: 'inherit' })
if (!existsSync('node_modules/.package-lock.json')) run('npm', ['ci', '--no-audit', '--no-fund'])
run(process.execPath, ['scripts/build.mjs'])

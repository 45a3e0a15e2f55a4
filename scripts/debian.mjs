// Debian's packages, for what tests start besides Node.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'

const run = (command, args, env) =>
  spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0

/** Whether Debian's lists were fetched already: every fetch takes seconds. */
let fetched = false

/**
 * Installs packages without starting any daemon that comes with them; true when they are there, false where this is not
 * root on a Debian.
 * @param {readonly string[]} packages
 */
export function installPackages(packages) {
  if (process.getuid?.() !== 0 || spawnSync('sh', ['-c', 'command -v apt-get']).status !== 0) return false
  const policy = '/usr/sbin/policy-rc.d'
  const own = !existsSync(policy)
  if (own) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    fetched ||= run('apt-get', ['update', '-q'], env)
    return fetched && run('apt-get', ['install', '-qy', '--no-install-recommends', ...packages], env)
  } finally {
    if (own) rmSync(policy)
  }
}

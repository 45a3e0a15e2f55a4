// Gets this checkout ready: npm packages as the lock file has them, a C compiler for the keeper where one can be had,
// then the build. Running it again costs only the build. `--to-run`: only what running flows needs. What cannot be had is named with the command that would fix it.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { installPackages } from './debian.mjs'

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
  const clean = spawnSync('npm', ['ci', ...quiet], { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' })
  if (clean.status !== 0 && !run('npm', ['install', '--no-save', ...quiet])) {
    console.error(clean.stderr)
    fail('npm could not install the packages', 'npm ci')
  }
  writeFileSync(stamp, lock)
}
/** What the tests start besides Node: each group is installed where this is Debian and root; in CI it must be there. */
const groups = [
  {
    what: 'a C compiler for the keeper',
    there: () => has('cc') || has('gcc') || has('clang'),
    packages: ['gcc', 'libc6-dev'],
    without: 'gangs run without the keeper',
  },
  {
    what: "a C++ compiler for tfjs-node's addon",
    there: () => has('g++'),
    packages: ['g++'],
    without: 'tests of the TensorFlow.js plugin fail',
  },
  {
    what: 'OpenSSH and what else the test hosts, their faults and shells are made of',
    there: () =>
      [
        'sshd',
        'ssh',
        'ip',
        'rsync',
        'pdsh',
        'faketime',
        'bindfs',
        'tcsh',
        'fish',
        'busybox',
        'unshare',
        'nsenter',
        'setpriv',
      ].every((name) => has(name) || existsSync(`/usr/sbin/${name}`)),
    packages: [
      'openssh-server',
      'openssh-client',
      'iproute2',
      'rsync',
      'pdsh',
      'faketime',
      'bindfs',
      'tcsh',
      'fish',
      'busybox',
      'util-linux',
    ],
    without: 'tests with several hosts fail',
  },
  {
    what: "Debian's Open MPI",
    there: () => has('mpirun.openmpi') && has('mpicc.openmpi'),
    packages: ['openmpi-bin', 'libopenmpi-dev'],
    without: 'tests of @mpi fail',
  },
  {
    what: "Debian's Slurm",
    there: () =>
      ['slurmctld', 'slurmd', 'munged'].every((name) => has(name) || existsSync(`/usr/sbin/${name}`)) && has('sbatch'),
    packages: ['slurmctld', 'slurmd', 'slurm-client', 'munge'],
    without: 'tests of the Slurm backend fail',
  },
]
const toRun = process.argv.includes('--to-run')
for (const { what, there, packages, without } of toRun ? [] : groups) {
  if (process.platform !== 'linux' || there()) continue
  console.log(`setting up: ${what}`)
  const fix = `apt-get install ${packages.join(' ')}`
  if (!installPackages(packages) && process.env.CI) fail(`this machine has not ${what}`, fix)
  if (!there()) console.warn(`this machine has not ${what}: ${without}\n  fix: ${fix}`)
}
console.log('building')
execFileSync(process.execPath, ['scripts/build.mjs', ...(toRun ? ['--no-types'] : [])], { stdio: 'inherit' })
// npm links a bin only where its file exists at the install: here it comes with the build.
const bins = { gangflow: 'core/dist/cli.cjs', 'gangflow-tfjs-node': 'plugin-tfjs/dist/tfjs-node.js' }
for (const [name, file] of Object.entries(bins)) {
  const bin = `node_modules/.bin/${name}`
  rmSync(bin, { force: true })
  symlinkSync(`../@gangflow/${file}`, bin)
  chmodSync(`packages/${file}`, 0o755)
}
// Where npm could not bring tfjs-node; `npm ci` takes away what this put there, and from the cache it is there at once.
if (!toRun && process.platform === 'linux' && !run(process.execPath, [`packages/${bins['gangflow-tfjs-node']}`])) {
  if (process.env.CI) fail('tfjs-node could be neither fetched nor built', 'npx gangflow-tfjs-node')
  console.warn('this machine has not tfjs-node: tests of the TensorFlow.js plugin fail\n  fix: npx gangflow-tfjs-node')
}

function fail(what, fix) {
  console.error(`${what}\n  fix: ${fix}`)
  process.exit(1)
}

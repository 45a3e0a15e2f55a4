// A Python with torch for the examples, the tests and the bench: the person's own where it has torch, else a
// project-local `.venv` made with uv. `node scripts/python-env.mjs` prints the interpreter's path.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What a fresh environment gets: the versions that the tests were written against. */
const pinned = ['torch==2.13.0', 'numpy==2.4.6', 'setuptools==84.2.1']
const uvVersion = '0.13.9'
const sshAuditVersion = '3.9.0'
const venv = join(root, '.venv')

/**
 * The path of an interpreter that can `import torch`. In order: `GANGFLOW_PYTHON`, the active virtual environment,
 * python3 and python on PATH, `.venv`, a new `.venv`. Throws an Error whose message ends with the command that helps.
 */
export async function pythonWithTorch({ log = (line) => console.error(line) } = {}) {
  const named = process.env.GANGFLOW_PYTHON
  if (named) {
    if (torchOf(named)) return named
    throw new Error(`GANGFLOW_PYTHON is ${named}, which has no torch\n  fix: ${named} -m pip install torch numpy`)
  }
  const active = process.env.VIRTUAL_ENV ? [join(process.env.VIRTUAL_ENV, 'bin/python')] : []
  const local = join(venv, 'bin/python')
  for (const python of [...active, ...onPath('python3'), ...onPath('python'), local]) {
    const version = torchOf(python)
    if (!version) continue
    if (python !== local) log(`using ${python} with torch ${version}`)
    return python
  }
  await alone(join(root, '.venv.lock'), log, async () => {
    if (!torchOf(local)) await prepare(log)
  })
  const version = torchOf(local)
  if (version) return local
  throw new Error(`${venv} has no torch after its installation\n  fix: rm -rf ${venv}, then run this again`)
}

async function prepare(log) {
  const started = Date.now()
  log(
    `preparing ${venv} with ${pinned.slice(0, 2).join(' and ')} (once; up to 5 GB where only the CUDA build is to be had)`,
  )
  const uv = await findUv(log)
  if (!existsSync(join(venv, 'bin/python')))
    await run(uv, ['venv', '--allow-existing', '--quiet', '--python', '>=3.10', venv], log)
  const install = ['pip', 'install', '--python', join(venv, 'bin/python')]
  await run(uv, [...install, ...(await cpuBuild(uv, install, log)), ...pinned], log)
  // uv compiles nothing; without this each process that imports torch would, for twice as long as the import takes.
  const used = 'import torch.distributed.run, torch.nn.parallel, torch.optim, torch._dynamo'
  await run(join(venv, 'bin/python'), ['-c', used], log, { PYTHONDONTWRITEBYTECODE: '' })
  log(`ready after ${Math.round((Date.now() - started) / 1000)} s`)
}

/** uv's options for the build without CUDA, where PyTorch's own index answers. */
async function cpuBuild(uv, install, log) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return []
  const { status } = spawnSync(uv, [...install, '--dry-run', '--quiet', '--torch-backend=cpu', ...pinned], {
    env: { ...process.env, UV_HTTP_TIMEOUT: '15', UV_HTTP_RETRIES: '0' },
    timeout: 60_000,
    stdio: 'ignore',
  })
  if (status === 0) return ['--torch-backend=cpu']
  log("PyTorch's own index does not answer: taking the build of the Python index, which brings CUDA along")
  return []
}

/** How ssh-audit is called: its words and its environment; fetched once, for the tests alone. */
export async function sshAudit({ log = (line) => console.error(line) } = {}) {
  const folder = join(root, 'node_modules/.cache/gangflow/ssh-audit')
  const [python = 'python3'] = [...onPath('python3'), ...onPath('python')]
  if (!existsSync(join(folder, 'ssh_audit')))
    await run(
      await findUv(log),
      ['pip', 'install', '--quiet', '--target', folder, `ssh-audit==${sshAuditVersion}`],
      log,
    )
  return { argv: [python, '-m', 'ssh_audit'], env: { PYTHONPATH: folder } }
}

/** uv from PATH, else a private one inside `.venv` or beside npm's packages. */
export async function findUv(log) {
  const [installed] = onPath('uv')
  if (installed) return installed
  const [python] = [...onPath('python3'), ...onPath('python')]
  const help = 'fix: curl -LsSf https://astral.sh/uv/install.sh | sh    (or install python3 with venv and pip)'
  if (!python) throw new Error(`there is neither uv nor python3 on PATH\n  ${help}`)
  const own = join(root, 'node_modules/.cache/gangflow/uv')
  const uv = join(own, 'bin/uv')
  if (existsSync(uv)) return uv
  log('fetching uv, the installer of Python packages')
  mkdirSync(own, { recursive: true })
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', own, `uv==${uvVersion}`]
  const direct = spawnSync(python, pip, { encoding: 'utf8' })
  if (direct.status === 0 && existsSync(uv)) return uv
  // Debian's python3 has no pip of its own; its venv may.
  const made = spawnSync(python, ['-m', 'venv', venv], { encoding: 'utf8' })
  if (made.status === 0) {
    const inside = spawnSync(join(venv, 'bin/python'), [...pip.slice(0, 5), `uv==${uvVersion}`], { encoding: 'utf8' })
    if (inside.status === 0) return join(venv, 'bin/uv')
  }
  throw new Error(`uv could not be installed:\n${direct.stderr || direct.stdout || direct.error}\n  ${help}`)
}

/** The version of an interpreter's torch, found without importing it; undefined where there is none. */
function torchOf(python) {
  if (!existsSync(python)) return undefined
  const ask =
    'import importlib.metadata as m, importlib.util as u; print(m.version("torch") if u.find_spec("torch") else "")'
  const { status, stdout } = spawnSync(python, ['-c', ask], { encoding: 'utf8', timeout: 30_000 })
  return status === 0 && stdout.trim() !== '' ? stdout.trim() : undefined
}

function onPath(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .filter((path) => existsSync(path) && statSync(path).isFile())
    .slice(0, 1)
}

export function run(command, args, log, env = {}) {
  return new Promise((resolve, reject) => {
    const certificates =
      process.env.PIP_CERT && !process.env.SSL_CERT_FILE ? { SSL_CERT_FILE: process.env.PIP_CERT } : {}
    const child = spawn(command, args, {
      env: { ...process.env, ...certificates, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (code === 0) return resolve()
      const words = [command, ...args].map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(' ')
      log(`failed: ${words}`)
      reject(
        new Error(
          `${words} ended with ${code}\n  fix: run it by hand to see why, or set GANGFLOW_PYTHON to a Python with torch`,
        ),
      )
    })
  })
}

/** One preparation at a time; a lock whose owner is dead is taken over. */
export async function alone(lock, log, work) {
  for (let waited = 0; ; waited++) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (!ownerLives(lock)) {
      rmSync(lock, { force: true })
      continue
    }
    if (waited === 0) log(`waiting for another process that holds ${lock}`)
    await sleep(500)
  }
  try {
    await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function ownerLives(lock) {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(await pythonWithTorch())
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}

// The cluster engines that the tests, the examples and the bench run on, each in an environment of its own as the Python
// index has it. `node scripts/engine-env.mjs [NAME…]` makes them and tells where.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { alone, findUv, pythonWithTorch, run } from './python-env.mjs'

const folder = fileURLToPath(new URL('../.engines', import.meta.url))
/** What each environment gets; those in `withTorch` see the packages of the torch environment behind their own. */
const packages = {
  ray: ['ray[default,train]==2.60.0', 'numpy==2.4.6'],
  dask: ['dask[dataframe]==2026.8.0', 'distributed==2026.8.0', 'pyarrow==24.0.0'],
  deepspeed: [
    'einops==0.8.1',
    'hjson==3.1.0',
    'msgpack==1.1.2',
    'ninja==1.13.0',
    'numpy==2.4.6',
    'packaging==26.0',
    'psutil==7.2.2',
    'py-cpuinfo==9.0.0',
    'pydantic==2.12.5',
    'tqdm==4.67.3',
  ],
}
const withTorch = new Set(['ray', 'deepspeed'])
/** Installed without what they ask for: DeepSpeed's torch, a second one of 5 GB. No operation of it is compiled here. */
const bare = { deepspeed: ['deepspeed==0.19.8'] }

/**
 * The interpreter of an engine's environment. Made once. Throws an Error whose message ends with the command that helps.
 * @param {'ray' | 'dask' | 'deepspeed'} name
 */
export async function engineEnvironment(name, { log = (line) => console.error(line) } = {}) {
  const venv = join(folder, name)
  const stamp = join(venv, 'gangflow-has')
  const python = join(venv, 'bin/python')
  const torch = withTorch.has(name) ? await pythonWithTorch({ log }) : undefined
  const wanted = [...packages[name], ...(bare[name] ?? []), ...(torch === undefined ? [] : [torch])].join(' ')
  const has = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
  if (has()) return python
  mkdirSync(folder, { recursive: true })
  await alone(`${venv}.lock`, log, async () => {
    if (has()) return
    const own = [...packages[name], ...(bare[name] ?? [])]
    log(`preparing ${venv} with ${own.join(' ')} (once)`)
    rmSync(venv, { recursive: true, force: true })
    const uv = await findUv(log)
    // The same Python as torch's, whose packages it is to see.
    await run(uv, ['venv', '--quiet', '--python', torch ?? '>=3.10', venv], log)
    const install = ['pip', 'install', '--quiet', '--compile-bytecode', '--python', python]
    await run(uv, [...install, ...packages[name]], log)
    if (bare[name]) await run(uv, [...install, '--no-deps', ...bare[name]], log, { DS_BUILD_OPS: '0' })
    if (torch !== undefined) {
      const paths = (interpreter) =>
        execFileSync(interpreter, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], {
          encoding: 'utf8',
        })
      writeFileSync(join(paths(python).trim(), 'gangflow-torch.pth'), paths(torch))
    }
    writeFileSync(stamp, wanted)
  })
  return python
}

export const engineNames = Object.keys(packages)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const asked = process.argv.slice(2)
    for (const name of asked.length > 0 ? asked : engineNames) console.log(`${name}: ${await engineEnvironment(name)}`)
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}

import { existsSync } from 'node:fs'
import { readdir, realpath, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { must, once, run, type Telling } from './steps.js'

/** The release whose libraries are fetched where no TensorFlow is installed. */
const version = '2.21.0'

/** Its C API as it is in a wheel for Python: libraries and headers lie in this folder. */
export const libraries = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const

/** Which wheel: any Python's serves, since nothing of it is run. */
const wheels: Partial<Record<NodeJS.Architecture, { name: string; platform: string }>> = {
  x64: { name: 'tensorflow-cpu', platform: 'manylinux_2_27_x86_64' },
  arm64: { name: 'tensorflow', platform: 'manylinux_2_27_aarch64' },
}

const isTensorFlow = (folder: string) =>
  [...libraries, 'include/tensorflow/c/c_api.h'].every((file) => existsSync(join(folder, file)))

/** The folder of an installed TensorFlow: the one that is named, else that of a Python, else a fetched one. */
export async function findTensorFlow(
  named: string | undefined,
  pythons: readonly string[],
  cache: string,
  telling: Telling,
): Promise<string> {
  if (named !== undefined) {
    for (const folder of [named, join(named, 'tensorflow')]) if (isTensorFlow(folder)) return realpath(folder)
    throw new GangflowError({
      code: 'E_TF_BUILD',
      what: `${named} has no ${libraries[0]} with include/tensorflow beside it`,
      fix: "name the folder 'tensorflow' of a Python's site-packages, for tensorflow 2.16 or newer on Linux",
    })
  }
  for (const python of pythons) {
    const ask =
      "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')"
    const { code, stdout } = await run([python, '-c', ask], telling)
    const folder = stdout.trim()
    if (code === 0 && folder !== '' && isTensorFlow(folder)) {
      telling.log(`using the TensorFlow of ${python}`)
      return realpath(folder)
    }
  }
  return fetched(pythons, cache, telling)
}

async function fetched(pythons: readonly string[], cache: string, telling: Telling): Promise<string> {
  const wheel = wheels[process.arch]
  if (wheel === undefined)
    throw new GangflowError({
      code: 'E_TF_BUILD',
      what: `there is no TensorFlow to fetch for ${process.arch}`,
      fix: "name an installed one: --tensorflow FOLDER, the 'tensorflow' of a Python's site-packages",
    })
  const folder = join(cache, `tensorflow-${version}-${process.arch}`)
  return once(folder, async (temporary) => {
    telling.log(`fetching ${wheel.name} ${version} by pip: 270 MB, of which 860 MB of libraries are kept in ${folder}`)
    const pip = await findPip(pythons, temporary, telling)
    await must(
      [
        ...[...pip, 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--python-version', '3.11'],
        ...['--platform', wheel.platform, '--dest', temporary, `${wheel.name}==${version}`],
      ],
      `fetch it where there is a network; or name an installed TensorFlow: --tensorflow FOLDER`,
      telling,
    )
    const file = (await readdir(temporary)).find((name) => name.endsWith('.whl')) ?? ''
    await must(
      [pip[0] ?? '', '-c', unpack, join(temporary, file), temporary],
      'see that the disk has 1.2 GB free',
      telling,
    )
    const parts = [...libraries, 'include']
    for (const part of parts) await rename(join(temporary, 'tensorflow', part), join(temporary, part))
    for (const name of await readdir(temporary))
      if (!(parts as readonly string[]).includes(name)) await rm(join(temporary, name), { recursive: true })
  })
}

/** The libraries, and the headers of the C API with what they include. */
const unpack = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if name.startswith('tensorflow/libtensorflow') or (name.startswith('tensorflow/include/') and ('/c/' in name or '/tsl/platform/' in name or '/core/platform/' in name)):
            wheel.extract(name, sys.argv[2])
`

/** A Python that has pip; Debian's has none, but its venv may. */
async function findPip(pythons: readonly string[], temporary: string, telling: Telling): Promise<string[]> {
  for (const python of pythons)
    if ((await run([python, '-m', 'pip', '--version'], telling)).code === 0) return [python, '-m', 'pip']
  for (const python of pythons) {
    const made = join(temporary, 'venv')
    if ((await run([python, '-m', 'venv', made], telling)).code === 0) return [join(made, 'bin/python'), '-m', 'pip']
  }
  throw new GangflowError({
    code: 'E_TF_BUILD',
    what: 'there is no Python with pip, by which TensorFlow is fetched',
    fix: 'install python3 with pip or venv (Debian: apt-get install python3-venv), or name an installed TensorFlow: --tensorflow FOLDER',
  })
}

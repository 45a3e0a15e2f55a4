import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { must, once, type Telling } from './steps.js'
import { libraries } from './tensorflow.js'

const name = '@tensorflow/tfjs-node'

/** The package without its binary, and what it needs besides TensorFlow.js itself; as npm gives them. */
export function fetchPackage(version: string, cache: string, telling: Telling): Promise<string> {
  return once(join(cache, `package-${version}`), async (temporary) => {
    telling.log(`fetching ${name} ${version} by npm, without its own installation`)
    await writeFile(join(temporary, 'package.json'), '{"private":true}')
    await must(
      [
        ...['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'],
        ...['--no-workspaces', '--prefix', temporary, `${name}@${version}`, 'node-api-headers@1'],
      ],
      'see that npm reaches its registry',
      telling,
      temporary,
    )
    const modules = join(temporary, 'node_modules')
    const needed = await closure(modules)
    for (const scope of ['', '@tensorflow', '@types', '@mapbox', '@webgpu'])
      for (const entry of await readdir(join(modules, scope)).catch(() => [])) {
        const own = scope ? `${scope}/${entry}` : entry
        if (entry.startsWith('@') || needed.has(own) || own === name || own === 'node-api-headers') continue
        await rm(join(modules, own), { recursive: true, force: true })
      }
    await rename(modules, join(temporary, 'modules'))
  })
}

/** What the package depends on, TensorFlow.js and itself excepted. */
async function closure(modules: string): Promise<Set<string>> {
  const found = new Set<string>()
  const visit = async (folder: string): Promise<void> => {
    const { dependencies = {} } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>
    }
    for (const needed of Object.keys(dependencies)) {
      if (needed.startsWith('@tensorflow/') || found.has(needed) || !existsSync(join(modules, needed))) continue
      found.add(needed)
      await visit(join(modules, needed))
    }
  }
  await visit(join(modules, name))
  return found
}

/**
 * The addon against that TensorFlow, in a folder of the cache that is named by what it is made of. It finds the libraries
 * beside itself by links, under the names that they were linked by.
 */
export async function compileAddon(
  source: string,
  tensorflow: string,
  compiler: string,
  cache: string,
  telling: Telling,
): Promise<string> {
  const modules = join(source, 'modules')
  const sources = join(modules, name, 'binding')
  const files = (await readdir(sources)).sort()
  const hash = createHash('sha256').update(JSON.stringify([process.platform, process.arch, tensorflow]))
  for (const file of files) hash.update(await readFile(join(sources, file)))
  for (const library of libraries) {
    const { size, mtimeMs } = await stat(join(tensorflow, library))
    hash.update(`${library} ${size} ${mtimeMs}`)
  }
  return once(join(cache, `addon-${hash.digest('hex').slice(0, 16)}`), async (temporary) => {
    telling.log(`compiling the addon against ${tensorflow}`)
    const own = join(temporary, 'lib/napi-v8')
    const beside = join(temporary, 'deps/lib')
    await mkdir(own, { recursive: true })
    await mkdir(beside, { recursive: true })
    for (const library of libraries) await symlink(join(tensorflow, library), join(beside, library))
    await must(
      [
        ...[compiler, '-O2', '-std=c++17', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-DBUILDING_NODE_EXTENSION'],
        ...['-I', join(modules, 'node-api-headers/include'), '-I', join(tensorflow, 'include')],
        ...files.filter((file) => file.endsWith('.cc')).map((file) => join(sources, file)),
        ...['-o', join(own, 'tfjs_binding.node'), ...libraries.map((library) => join(beside, library))],
        '-Wl,-rpath,$ORIGIN/../../deps/lib',
      ],
      {
        missing: 'install a C++ compiler (Debian: apt-get install g++), or name one: CXX=clang++',
        failed: `see whether ${tensorflow} is whole; name another TensorFlow: --tensorflow FOLDER`,
      },
      telling,
    )
  })
}

/** Puts the package into a project's node_modules; the large files are links into the cache, which travel as files. */
export async function place(source: string, addon: string, modules: string): Promise<string> {
  const from = join(source, 'modules')
  const to = join(modules, name)
  const temporary = `${to}.${process.pid}`
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  for (const part of ['dist', 'package.json', 'README.md'])
    await cp(join(from, name, part), join(temporary, part), { recursive: true })
  for (const needed of await closure(from))
    await cp(join(from, needed), join(temporary, 'node_modules', needed), { recursive: true })
  for (const part of ['lib/napi-v8', 'deps/lib']) {
    await mkdir(join(temporary, part), { recursive: true })
    for (const file of await readdir(join(addon, part)))
      await symlink(join(addon, part, file), join(temporary, part, file))
  }
  await rm(to, { recursive: true, force: true })
  await rename(temporary, to)
  return to
}

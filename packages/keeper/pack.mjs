// Packs what is published: @gangflow/keeper without a binary, which picks among its optional platform packages, and
// the platform package of this machine with the binary. `node pack.mjs [--to DIR]` prints the tarballs' paths.
// (A plain `npm pack` here gives one tarball that holds this platform's binary itself.)
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { platform } from './index.js'

const platforms = ['linux-x64', 'linux-arm64']
const folder = new URL('.', import.meta.url).pathname
const at = process.argv.indexOf('--to')
const to = resolve(at > 0 ? process.argv[at + 1] : join(folder, 'dist', 'packed'))
const { files, ...manifest } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
const binary = join(folder, 'dist', platform, 'gangflow-keeper')
const addon = join(folder, 'dist', platform, 'exit.node')
const stage = join(folder, 'dist', 'npm')

function pack(name, contents, fill) {
  const target = join(stage, name)
  mkdirSync(target, { recursive: true })
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(contents, null, 2)}\n`)
  copyFileSync(join(folder, '..', '..', 'LICENSE'), join(target, 'LICENSE'))
  fill(target)
  const report = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', to, target], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const packed = JSON.parse(report)
  console.log(join(to, (Array.isArray(packed) ? packed[0] : Object.values(packed)[0]).filename))
}

execFileSync(process.execPath, [join(folder, 'build.mjs')], { stdio: 'inherit' })
rmSync(stage, { recursive: true, force: true })
mkdirSync(to, { recursive: true })
const optionalDependencies = Object.fromEntries(platforms.map((name) => [`@gangflow/keeper-${name}`, manifest.version]))
pack(
  'keeper',
  { ...manifest, files: files.filter((file) => !file.startsWith('dist')), optionalDependencies },
  (target) => {
    for (const file of ['index.js', 'index.cjs', 'index.d.ts', 'index.d.cts', 'src'])
      cpSync(join(folder, file), join(target, file), { recursive: true })
  },
)
if (existsSync(binary)) {
  const [os, cpu] = platform.split('-')
  const { name, version, license } = manifest
  const own = { name: `${name}-${platform}`, version, license, description: `The helper of ${name} for ${platform}` }
  pack(`keeper-${platform}`, { ...own, os: [os], cpu: [cpu], preferUnplugged: true }, (target) => {
    copyFileSync(binary, join(target, 'gangflow-keeper'))
    chmodSync(join(target, 'gangflow-keeper'), 0o755)
    if (existsSync(addon)) copyFileSync(addon, join(target, 'exit.node'))
  })
}

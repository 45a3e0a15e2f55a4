// Builds every package into its dist/: one esbuild run a package (each src/*.ts of core is a published entry), the
// keeper by the C compiler at hand, then the types. `--no-types` leaves the types out, for a quick turn.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'

const root = new URL('..', import.meta.url).pathname
process.chdir(root)
const types = !process.argv.includes('--no-types')

/**
 * Core's entries that are bundled together: those of one row share their modules (a flow, the body that runs it and what
 * describes it must see the same), and no row pays with small shared files for another.
 */
const rows = {
  core: [['index', 'plugin', 'testing', 'body', 'describe'], ['agent'], ['vite'], ['cli', 'launcher', 'help']],
}
/** `run()` of the first row loads the engine from the published launcher, when it is called. */
const launcherOutside = {
  name: 'launcher-outside',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/launcher\.js$/ }, ({ kind, importer }) =>
      kind === 'dynamic-import' && importer.endsWith('/public.ts')
        ? { path: './launcher.js', external: true }
        : undefined,
    ),
}

for (const name of readdirSync('packages')) {
  const folder = join('packages', name)
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  if (existsSync(join(folder, 'build.mjs'))) {
    execFileSync(process.execPath, [join(folder, 'build.mjs')], { stdio: 'inherit' })
    continue
  }
  if (!existsSync(join(folder, 'src'))) continue
  // Core starts entries of its own by path (agent, body); what a plugin does not export is no entry.
  const exported = JSON.stringify(manifest.exports)
  const entryPoints = readdirSync(join(folder, 'src'))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .filter((file) => manifest.bin || exported.includes(`/dist/${file.replace(/\.ts$/, '.js')}"`))
    .map((file) => join(folder, 'src', file))
  if (entryPoints.length === 0) continue
  for (const file of existsSync(join(folder, 'dist')) ? readdirSync(join(folder, 'dist')) : []) {
    if (file.endsWith('.js') || file.endsWith('.js.map')) rmSync(join(folder, 'dist', file))
  }
  const all = entryPoints.map((file) => basename(file, '.ts'))
  const listed = rows[name] ?? [all]
  const forgotten = all.filter((entry) => !listed.flat().includes(entry))
  for (const row of [...listed, ...(forgotten.length > 0 ? [forgotten] : [])]) {
    await build({
      entryPoints: row.map((entry) => join(folder, 'src', `${entry}.ts`)),
      plugins: row.includes('launcher') ? [] : [launcherOutside],
      outdir: join(folder, 'dist'),
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      sourcemap: true,
      legalComments: 'inline',
      define: { __CORE_VERSION__: JSON.stringify(manifest.version) },
      // What is published as a dependency stays outside; everything else is built in.
      external: [...Object.keys(manifest.dependencies ?? {}), ...Object.keys(manifest.peerDependencies ?? {})],
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
      },
      logLevel: 'warning',
    })
  }
}
// The text of `gangflow --help`, so that asking for it loads no parser.
writeFileSync('packages/core/dist/help.json', execFileSync(process.execPath, ['packages/core/dist/help.js']))
if (types) execFileSync('npx', ['tsc', '-b'], { stdio: 'inherit' })

// Builds every package into its dist/: one esbuild run a package (each src/*.ts of core is a published entry), the
// keeper by the C compiler at hand, then the types. `--no-types` leaves the types out, for a quick turn.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parse } from 'acorn'
import { build, transformSync } from 'esbuild'
import { directBuiltins } from './direct-builtins.mjs'

const root = new URL('..', import.meta.url).pathname
process.chdir(root)
const types = !process.argv.includes('--no-types')

/**
 * Core's entries that are bundled together: those of one row share their modules, and no row pays with small shared
 * files for another (a file costs a body a millisecond or two of its start).
 */
const rows = {
  core: [['describe', 'testing'], ['vite'], ['parallel'], ['launcher', 'help'], ['backend']],
}
/**
 * These give what is in one file, `shared.cjs`: a flow and the body that runs it must see the same core. It is
 * CommonJS because Node starts that sooner and can keep it compiled; `body.cjs` loads it (src/body/load-shared.ts).
 */
const together = { core: ['index', 'plugin'] }
const alsoShared = { core: "export { startBody } from './composition/body.ts'" }
/** What the worker threads of an entry run: a text in that entry, so that they start without reading a file. */
const threads = {
  core: { entry: 'parallel', source: 'src/parallel-map/worker/entry.ts', define: '__POOL_WORKER__' },
  'plugin-tfjs': {
    entry: 'collectives',
    source: 'src/collectives/worker/entry.ts',
    define: '__COLLECTIVES_WORKER__',
  },
}
/** What a plugin starts as a thread by its path. */
const started = { 'plugin-tfjs': ['replica'] }
const threadText = async (folder, source, { target, define, external }) => {
  const entryPoints = [join(folder, source)]
  const flags = { bundle: true, format: 'cjs', platform: 'node', minify: true, write: false }
  const { outputFiles } = await build({ ...flags, entryPoints, target, define, external })
  return outputFiles[0].text
}
/** What an entry takes from the source beside it; types are gone by then. */
const takenBy = (entry) =>
  [
    ...transformSync(readFileSync(entry, 'utf8'), { loader: 'ts' }).code.matchAll(
      /^export \{([^}]*)\} from "(\.[^"]+)\.js";$/gm,
    ),
  ].map(([, names, path]) => ({ names: names.trim(), from: `export {${names}} from '${path}.ts'` }))
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

/** Of ssh2, which does without: Node's own cryptography serves. */
const nativeParts = ['cpu-features', '*.node']

/** A script of our own cannot import by itself: its `import()` is what loads it (src/body/load-shared.ts). */
function withImportsAside(text) {
  const places = []
  const visit = (node) => {
    if (Array.isArray(node)) return node.forEach(visit)
    if (typeof node?.type !== 'string') return
    if (node.type === 'ImportExpression') places.push(node.start)
    Object.values(node).forEach(visit)
  }
  visit(parse(text, { ecmaVersion: 'latest', sourceType: 'script', allowHashBang: true }))
  for (const at of places.sort((a, b) => b - a)) text = `${text.slice(0, at)}__${text.slice(at)}`
  return text.replace('__native_import(', 'import(')
}

/** SSH is in a file of its own, `mesh.cjs`, loaded when it is first needed. */
const meshOutside = {
  name: 'mesh-outside',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/ssh\/mesh\.js$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './mesh.cjs', external: true } : undefined,
    ),
}

/** Of ssh2, which nothing of ours uses: HTTP over SSH, for which Node would load HTTP and TLS in each agent. */
const httpAside = {
  name: 'http-aside',
  setup: ({ onLoad }) => onLoad({ filter: /[/\\]ssh2[/\\]lib[/\\]http-agents\.js$/ }, () => ({ contents: '' })),
}

/** The same from a module: an import of it would read all of it first for the names of its exports, half a second. */
const meshRequired = {
  name: 'mesh-required',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/ssh\/mesh\.js$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: 'mesh', namespace: 'mesh-required' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'mesh-required' }, () => ({
      contents: `import { createRequire } from 'node:module'
export const { openMesh } = createRequire(import.meta.url)('./mesh.cjs')`,
    }))
  },
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
  const exported = JSON.stringify([manifest.exports, manifest.bin ?? {}])
  const entryPoints = readdirSync(join(folder, 'src'))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .filter(
      (file) =>
        name === 'core' ||
        exported.includes(`/dist/${file.replace(/\.ts$/, '.js')}"`) ||
        started[name]?.includes(basename(file, '.ts')),
    )
    .map((file) => join(folder, 'src', file))
  if (entryPoints.length === 0) continue
  for (const file of existsSync(join(folder, 'dist')) ? readdirSync(join(folder, 'dist')) : []) {
    if (/\.c?js(\.map)?$/.test(file)) rmSync(join(folder, 'dist', file))
  }
  const options = {
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
    external: [
      ...Object.keys(manifest.dependencies ?? {}),
      ...Object.keys(manifest.peerDependencies ?? {}),
      ...nativeParts,
    ],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); var __dirname = import.meta.dirname;",
    },
    logLevel: 'warning',
  }
  const entry = (name) => join(folder, 'src', `${name}.ts`)
  const shared = together[name] ?? []
  if (shared.length > 0) {
    const taken = shared.map((entry_) => takenBy(entry(entry_)))
    const contents = [...new Set(taken.flat().map(({ from }) => from)), alsoShared[name]].join('\n')
    const commonJs = { ...options, outdir: undefined, splitting: false, format: 'cjs' }
    /** A file that is loaded from its compiled form (src/body/load-shared.ts). */
    const compiled = async (outfile, input) => {
      const file = join(folder, 'dist', outfile)
      await build({
        ...commonJs,
        ...input,
        outfile: file,
        define: { ...options.define, 'import.meta.url': '__url' },
        banner: {
          js: "const __url = require('node:url').pathToFileURL(__filename).href; const __import = module.__import ?? ((name) => __native_import(name));",
        },
        plugins: [launcherOutside, meshOutside, httpAside, directBuiltins],
      })
      writeFileSync(file, withImportsAside(readFileSync(file, 'utf8')))
    }
    await compiled('shared.cjs', {
      stdin: { contents, resolveDir: join(folder, 'src'), sourcefile: 'shared.ts', loader: 'ts' },
    })
    await compiled('agent-main.cjs', { entryPoints: [join(folder, 'src/composition/agent.ts')] })
    await compiled('mesh.cjs', {
      entryPoints: [join(folder, 'src/composition/mesh.ts')],
    })
    await compiled('job-main.cjs', { entryPoints: [join(folder, 'src/composition/job.ts')] })
    await compiled('cli-main.cjs', { entryPoints: [join(folder, 'src/cli/main.ts')] })
    for (const [index, entry_] of shared.entries()) {
      const names = taken[index].map((one) => one.names.replaceAll(' as ', ': ')).join(', ')
      writeFileSync(
        join(folder, 'dist', `${entry_}.js`),
        `const core = process.getBuiltinModule('node:module').createRequire(import.meta.url)('./shared.cjs')\nexport const { ${names} } = core\n`,
      )
    }
    for (const own of ['body', 'agent', 'job', 'cli'])
      await build({ ...commonJs, entryPoints: [entry(own)], outfile: join(folder, `dist/${own}.cjs`), banner: {} })
    // What the doctor runs on a host lies beside the agent there.
    const probe = join(folder, 'src/backend/doctor/probe-main.ts')
    await build({ ...commonJs, entryPoints: [probe], outfile: join(folder, 'dist/probe.cjs'), banner: {} })
  }
  const all = entryPoints
    .map((file) => basename(file, '.ts'))
    .filter((name) => !shared.includes(name) && !['body', 'agent', 'job', 'cli'].includes(name))
  const listed = rows[name] ?? [all]
  const forgotten = all.filter((entry) => !listed.flat().includes(entry))
  for (const row of [...listed, ...(forgotten.length > 0 ? [forgotten] : [])]) {
    const thread = threads[name]
    const isThreaded = row.includes(thread?.entry)
    const define = isThreaded
      ? { [thread.define]: JSON.stringify(await threadText(folder, thread.source, options)) }
      : {}
    await build({
      ...options,
      define: { ...options.define, ...define },
      // It requires nothing, and the programs that it is bundled into may be CommonJS.
      ...(isThreaded && { banner: {} }),
      entryPoints: row.map(entry),
      plugins: [meshRequired, ...(row.includes('launcher') ? [] : [launcherOutside])],
    })
  }
}
// The text of `gangflow --help`, so that asking for it loads no parser.
writeFileSync('packages/core/dist/help.json', execFileSync(process.execPath, ['packages/core/dist/help.js']))
if (types) execFileSync('npx', ['tsc', '-b'], { stdio: 'inherit' })

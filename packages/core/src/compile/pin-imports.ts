import { realpathSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild, ResolveResult } from 'esbuild'
import { coreName } from './find-core.js'
import { declaredFormat, type Package } from './packages.js'

/** An import of a package, fixed to the file that Node's resolution from its importer gives. */
export interface Pin {
  readonly specifier: string
  readonly importer: string
  readonly path: string
}

const required = 'gangflow-require'
/** Ends the name of the virtual file that requires a package: by its ending esbuild knows it for CommonJS. */
const wrapper = '?required.cjs'
/**
 * What may lead out of the project's own source: all but `node:` and relative paths, and of these the ones that
 * name node_modules or an addon. (Go's expressions know no lookahead.)
 */
const mayLeaveProject =
  /^(?:[^n./]|n(?:[^o]|$)|no(?:[^d]|$)|nod(?:[^e]|$)|node(?:[^:]|$))|^\.{0,2}\/.*(?:node_modules\/|\.node$)/
const asked = Symbol('asked by pinImports')

/**
 * Inlines the project's own source and pins every package to a file (DESIGN D8). Own is what is imported by a
 * relative path, a tsconfig alias or from a workspace, so long as its real path is in no further node_modules.
 */
export function pinImports(pins: Pin[]): Plugin {
  const manifests = new Map<string, Package | undefined>()
  return {
    name: 'gangflow-pin-imports',
    setup(build) {
      const resolve = remembered((args, commonJs) => resolveAsNode(build, args, commonJs))
      build.onResolve({ filter: /.*/, namespace: required }, ({ path }) => ({ path, external: true }))
      build.onResolve({ filter: mayLeaveProject, namespace: 'file' }, async (args) => {
        if (args.pluginData === asked || args.kind === 'entry-point') return
        if (isBuiltin(args.path) || /^(data|https?):/.test(args.path)) return { path: args.path, external: true }
        const commonJs = declaredFormat(args.importer, manifests) === 'commonjs'
        const found = await resolve(args, commonJs)
        // esbuild's own attempt words the error, and lets an optional require in try/catch pass.
        if (found.errors.length > 0) return
        if (found.external || found.namespace !== 'file') return found
        if (extname(found.path) === '.node') return { path: found.path, external: true }
        // Left to esbuild: what a plugin resolves has lost its tsconfig, and with it the decorators' protocol.
        if (isOwn(args, found.path)) return args.path.startsWith('file:') ? { path: found.path } : undefined
        if (extname(found.path) === '.json') return { path: found.path }
        pins.push({ specifier: args.path, importer: args.importer, path: found.path })
        return pinned(args, found.path, commonJs)
      })
      build.onLoad({ filter: /.*/, namespace: required }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(path.slice(0, -wrapper.length))})`,
        loader: 'js',
      }))
    },
  }
}

/** One question for each specifier in a folder: every one is a round trip to esbuild and back. */
function remembered(
  resolve: (args: OnResolveArgs, commonJs: boolean) => Promise<ResolveResult>,
): (args: OnResolveArgs, commonJs: boolean) => Promise<ResolveResult> {
  const known = new Map<string, Promise<ResolveResult>>()
  return (args, commonJs) => {
    const key = JSON.stringify([args.path, args.resolveDir, args.kind, commonJs])
    const found = known.get(key) ?? resolve(args, commonJs)
    known.set(key, found)
    return found
  }
}

async function resolveAsNode(build: PluginBuild, args: OnResolveArgs, commonJs: boolean): Promise<ResolveResult> {
  const path = args.path.startsWith('file:') ? fileURLToPath(args.path) : args.path
  if (isCore(path)) {
    const core = resolveCore(path, args.importer)
    if (core !== undefined) return core
  }
  const ask = (kind: OnResolveArgs['kind']) =>
    build.resolve(path, { kind, importer: args.importer, resolveDir: args.resolveDir, pluginData: asked })
  if (!commonJs || args.kind !== 'import-statement') return ask(args.kind)
  // An import in a CommonJS file is compiled to require; a package that has nothing for require is imported.
  const found = await ask('require-call')
  return found.errors.length > 0 ? ask('import-statement') : found
}

/** Core is never taken from a tsconfig alias: the source behind it would be inlined, a second core. */
function resolveCore(specifier: string, importer: string): ResolveResult | undefined {
  try {
    const path = realpathSync(createRequire(importer).resolve(specifier))
    return {
      errors: [],
      warnings: [],
      path,
      external: false,
      sideEffects: true,
      namespace: 'file',
      suffix: '',
      pluginData: undefined,
    }
  } catch {
    return undefined
  }
}

function isCore(specifier: string): boolean {
  return specifier === coreName || specifier.startsWith(`${coreName}/`)
}

/** A project may itself lie in some node_modules; what counts is a further one below it. */
function isOwn(args: OnResolveArgs, path: string): boolean {
  if (isCore(args.path)) return false
  const depth = (file: string) => file.split('/node_modules/').length
  const relative = /^(\.{0,2}\/|\.{1,2}$|file:)/.test(args.path)
  return depth(path) === 1 || (relative && depth(path) <= depth(args.importer))
}

function pinned(args: OnResolveArgs, path: string, commonJs: boolean): OnResolveResult {
  if (/^\.[cm]?tsx?$/.test(extname(path))) {
    return {
      errors: [
        {
          text: `"${args.path}" gives TypeScript source (${path}), which Node does not run from node_modules`,
          detail: 'E_PACKAGE_TYPESCRIPT',
        },
      ],
    }
  }
  if (args.kind === 'import-statement' && commonJs) return { path: `${path}${wrapper}`, namespace: required }
  const asPath = args.kind === 'require-call' || args.kind === 'require-resolve'
  return { path: asPath ? path : pathToFileURL(path).href, external: true }
}

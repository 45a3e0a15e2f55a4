import { isBuiltin } from 'node:module'

/** Modules that a process may never need: their functions ask for them when they are called. */
const late = new Set([
  'crypto',
  'dns/promises',
  'fs/promises',
  'timers/promises',
  'child_process',
  'zlib',
  'inspector',
  'stream/consumers',
])

/**
 * An esbuild plugin: Node's own modules by `process.getBuiltinModule` and not by `import`. An import reads every
 * export of the module, getters too (`fs` loads its streams for it): five to ten CPU milliseconds of a start in all.
 */
export const directBuiltins = {
  name: 'direct-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?[a-z_/]+$/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path)
        ? { path: path.replace(/^node:/, ''), namespace: 'builtin', sideEffects: false }
        : undefined,
    )
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({ contents: moduleOf(path), loader: 'js' }))
  },
}

function moduleOf(name) {
  const exports = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(`node:${name}`)))
  const lines = exports
    .filter(([key]) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== 'default')
    .map(([key, { value }]) => {
      // A function that is no class can stand for the one that it calls.
      const callable = late.has(name) && typeof value === 'function' && /^[a-z]/.test(key)
      return callable
        ? `const f_${key} = (...args) => whole().${key}(...args); export { f_${key} as ${key} }`
        : `const v_${key} = /* @__PURE__ */ read('${key}'); export { v_${key} as ${key} }`
    })
  return [
    `const whole = () => process.getBuiltinModule('node:${name}')`,
    'const read = (key) => whole()[key]',
    ...lines,
    'const all = /* @__PURE__ */ whole()',
    'export { all as default }',
  ].join('\n')
}

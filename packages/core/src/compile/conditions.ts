/**
 * The conditions of `exports` maps that hold for a Node started with these flags, besides `node`, `import` or
 * `require` and `default`, which esbuild adds itself. Naming any keeps esbuild's own `module` out: Node has none.
 */
export function resolutionConditions(execArgv: readonly string[], nodeOptions = process.env['NODE_OPTIONS']): string[] {
  const flags = [...(nodeOptions ?? '').split(/\s+/), ...execArgv]
  const own = flags.flatMap((flag, index) => {
    if (flag === '-C' || flag === '--conditions') return flags[index + 1] ?? []
    return /^(?:-C|--conditions)=(.+)$/.exec(flag)?.[1] ?? []
  })
  const sync = (process.features as { require_module?: boolean }).require_module ? ['module-sync'] : []
  return [...new Set(['node-addons', ...sync, ...own])]
}

import { createRequire } from 'node:module'

type Esbuild = typeof import('esbuild')

/**
 * Runs `work` with an esbuild of our own and ends its service process after. Own: `stop()` on an instance that
 * the person's program shares (vite has one) would end their builds too; not stopping it would leave a process.
 */
export async function withEsbuild<T>(work: (esbuild: Esbuild) => Promise<T>): Promise<T> {
  const esbuild = privateCopy()
  try {
    return await work(esbuild)
  } finally {
    await esbuild.stop()
  }
}

function privateCopy(): Esbuild {
  const require = createRequire(import.meta.url)
  const path = require.resolve('esbuild')
  const shared = require.cache[path]
  delete require.cache[path]
  try {
    return require(path) as Esbuild
  } finally {
    if (shared === undefined) delete require.cache[path]
    else require.cache[path] = shared
  }
}

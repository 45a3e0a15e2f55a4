import { basename } from 'node:path'
import { build } from 'esbuild'

/** As much of Vite's plugin interface as this one has: the same for Vite 7 and 8. */
export interface GangflowVitePlugin {
  readonly name: string
  readonly enforce: 'pre'
  transform(code: string, id: string): Promise<{ code: string; map: string } | null>
}

/** A word after `@` at the beginning of a line, or after what may stand before a decorator in one. */
const decorator = /(?:^|[\s;{}()])@[A-Za-z_$(]/

/**
 * A Vite plugin that lowers decorators, for tests of flows under Vitest 4 on Vite 7 and 8 (Vite 8 leaves standard
 * decorators as they are, and Node cannot read them). Each file is compiled under its own tsconfig.json, as `gangflow` does it.
 * `export default defineConfig({ plugins: [gangflow()] })`.
 */
export default function gangflow(): GangflowVitePlugin {
  return {
    name: 'gangflow',
    enforce: 'pre',
    async transform(code, id) {
      const file = id.replace(/[?#].*$/, '')
      const loader = /\.[cm]?(tsx?|jsx?)$/.exec(file)?.[1] as 'ts' | 'tsx' | 'js' | 'jsx' | undefined
      if (loader === undefined || /[\\/]node_modules[\\/]/.test(file) || !decorator.test(code)) return null
      const { outputFiles } = await build({
        entryPoints: [file],
        outfile: `${file}.js`,
        write: false,
        bundle: false,
        format: 'esm',
        target: 'node20',
        keepNames: true,
        sourcemap: 'external',
        sourcesContent: true,
        logLevel: 'silent',
        plugins: [
          {
            name: 'code-at-hand',
            // What Vite holds may differ from the disk; by way of `build` the file's own tsconfig counts.
            setup: (one) => one.onLoad({ filter: /.*/ }, () => ({ contents: code, loader })),
          },
        ],
      })
      const map = JSON.parse(outputFiles.find(({ path }) => path.endsWith('.map'))!.text) as { sources: string[] }
      return {
        code: outputFiles.find(({ path }) => !path.endsWith('.map'))!.text,
        map: JSON.stringify({ ...map, sources: [basename(file)] }),
      }
    },
  }
}

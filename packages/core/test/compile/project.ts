import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { bundleFlow } from '../../src/compile/bundle-flow.js'

export interface Project {
  readonly root: string
  path(...segments: string[]): string
  write(files: Readonly<Record<string, string | Uint8Array>>): void
  /** A link to a path inside of the project. */
  link(target: string, at: string): void
  /** A link to an absolute path. */
  linkTo(target: string, at: string): void
}

/** A folder with these files, outside of any package, until the test ends. */
export function project(files: Readonly<Record<string, string | Uint8Array>>): Project {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow compile-')))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const made: Project = {
    root,
    path: (...segments) => join(root, ...segments),
    write(more) {
      for (const [name, text] of Object.entries(more)) {
        mkdirSync(dirname(join(root, name)), { recursive: true })
        writeFileSync(join(root, name), text)
      }
    },
    link: (target, at) => made.linkTo(join(root, target), at),
    linkTo(target, at) {
      mkdirSync(dirname(join(root, at)), { recursive: true })
      symlinkSync(target, join(root, at))
    },
  }
  made.write(files)
  return made
}

/** Bundles an entry, lays the bundle out in a folder of its own and gives what its default export is, as JSON. */
export async function evaluate(made: Project, entry: string, execArgv: readonly string[] = []): Promise<unknown> {
  const bundle = await bundleFlow(made.path(entry), execArgv)
  made.write({
    'elsewhere/flow.mjs': bundle.code,
    'elsewhere/flow.mjs.map': bundle.map,
  })
  made.write({
    'elsewhere/run.mjs':
      "const { default: value } = await import('./flow.mjs'); console.log(JSON.stringify(await (typeof value === 'function' ? value() : value)))",
  })
  const { stdout } = await promisify(execFile)(process.execPath, [...execArgv, made.path('elsewhere/run.mjs')], {
    cwd: tmpdir(),
  })
  return JSON.parse(stdout)
}

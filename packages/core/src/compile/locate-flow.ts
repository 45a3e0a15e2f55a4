import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { GangflowError } from '../errors/base.js'

const extensions = ['.ts', '.mts', '.cts', '.tsx', '.js', '.mjs', '.cjs', '.jsx']

/** The real path of the person's flow file, or a named error when it cannot be one. */
export async function locateFlow(file: string, cwd: string = process.cwd()): Promise<string> {
  const path = resolve(cwd, file)
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) {
    const near = await similarFile(path)
    throw refuse(
      path,
      'does not exist',
      near === undefined ? 'check the path of the flow file' : `did you mean ${near}?`,
    )
  }
  if (found.isDirectory()) {
    const near = (await flowFilesIn(path))[0]
    throw refuse(path, 'is a folder', `name the flow's file, such as ${resolve(path, near ?? 'flow.ts')}`)
  }
  if (!extensions.includes(extname(path))) {
    throw refuse(path, 'is neither TypeScript nor JavaScript', `a flow file ends in one of ${extensions.join(', ')}`)
  }
  return realpath(path)
}

function refuse(path: string, what: string, fix: string): GangflowError {
  return new GangflowError({ code: 'E_FLOW_FILE', what: `${path} ${what}`, fix, details: { file: path } })
}

/** A file beside the missing one whose name differs by its extension or its case. */
async function similarFile(path: string): Promise<string | undefined> {
  const stem = (name: string) => basename(name, extname(name)).toLowerCase()
  const near = (await flowFilesIn(dirname(path))).find(
    (name) => stem(name) === stem(path) || name.toLowerCase().startsWith(`${basename(path).toLowerCase()}.`),
  )
  return near === undefined ? undefined : resolve(dirname(path), near)
}

async function flowFilesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => extensions.includes(extname(name)) && !name.endsWith('.d.ts')).sort()
}

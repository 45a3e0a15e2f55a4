import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { build } from 'esbuild'
import { tempDirectory } from './helpers.js'

/** Compiles one of `fixtures/` with the sources that it imports; gives the script's path. */
export async function fixture(name: string, directory = tempDirectory()): Promise<string> {
  const outfile = join(directory, `${name}.mjs`)
  await build({
    entryPoints: [new URL(`./fixtures/${name}.ts`, import.meta.url).pathname],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  })
  chmodSync(dirname(outfile), 0o755) // for a test that runs it as another user
  return outfile
}

/** Runs a fixture to its end and gives what it printed. */
export async function runFixture(
  script: string,
  args: readonly string[],
  options: { uid?: number; gid?: number; prefix?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { prefix = [], ...rest } = options
  const [command, ...before] = [...prefix, process.execPath]
  const child = spawn(command!, [...before, script, ...args], { ...rest, stdio: ['ignore', 'pipe', 'inherit'] })
  const [output] = await Promise.all([text(child.stdout!), once(child, 'close')])
  return output
}

export function startFixture(
  script: string,
  args: readonly string[],
  stdin: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  return spawn(process.execPath, [script, ...args], { stdio: [stdin, 'pipe', 'inherit'] })
}

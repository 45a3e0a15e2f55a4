// A person's project beside nothing of ours, and the built command run in it on test hosts.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestHosts } from '../hosts/index.js'

const bin = new URL('../../packages/core/dist/cli.cjs', import.meta.url).pathname
const packages = new URL('../../packages', import.meta.url).pathname

export interface Ended {
  readonly code: number | null
  readonly out: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What it has printed so far. */
  text(): string
}

export class SshProject {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-project-')))
  readonly store = join(this.folder, '.gangflow')

  constructor(files: Readonly<Record<string, string>>) {
    this.write({ 'package.json': '{"name":"project","type":"module"}', ...files })
    mkdirSync(join(this.folder, 'node_modules/@gangflow'), { recursive: true })
    for (const name of [
      'core',
      'keeper',
      'plugin-torchrun',
      'plugin-mpi',
      'plugin-ray',
      'plugin-dask',
      'plugin-deepspeed',
    ])
      symlinkSync(join(packages, name), join(this.folder, 'node_modules/@gangflow', name))
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true })
      writeFileSync(join(this.folder, name), text)
    }
  }

  /** Starts `gangflow WORDS` in the project. */
  start(words: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const child = spawn(process.execPath, [bin, ...words], {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: '1', CI: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (data: string) => {
        out += data
      })
    const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out })))
    return { child, ended, text: () => out }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Flags for a gang on hosts of a set. */
export const onHosts = (hosts: TestHosts, names: readonly string[] = hosts.names): string[] => [
  '--hosts',
  names.join(','),
  '--ssh-config',
  hosts.config,
]

/** What of gangflow, or of what it started, is still on the hosts: processes and sockets, `HOST: line` each. */
export async function leftOn(hosts: TestHosts, names: readonly string[] = hosts.names): Promise<string[]> {
  const script = `ps -u ${hosts.user} -o pid=,args= | grep -vE "sshd|ps -u|sh -c|grep" ; ls -d /tmp/gf-* 2>/dev/null || :`
  const each = await Promise.all(
    names.map(async (name) => {
      const text = await hosts.host(name).must(['sh', '-c', script])
      return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [`${name}: ${line.trim()}`]))
    }),
  )
  return each.flat()
}

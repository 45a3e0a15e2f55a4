import { GangflowError } from '../../errors/base.js'

/** What a host told of itself. */
export interface HostFacts {
  /** As Node names them: `linux`, `x64`. */
  readonly os: string
  readonly arch: string
  /** `glibc 2.36`, `musl`, or empty. */
  readonly libc: string
  readonly kernel: string
  readonly name: string
  readonly uid: number
  readonly cpus: number
  readonly gpus: readonly string[]
  /** This machine's address as the host sees it. */
  readonly client?: string
  /** The host's own address on the connection that reached it. */
  readonly address?: string
  /** Absolute path of the folder for what is delivered. */
  readonly work: string
  /** The folder in it of the runtime's layers. */
  readonly runtime: string
  readonly node?: { readonly path: string; readonly version: string }
  readonly env: Readonly<Record<string, string>>
}

const arches: Readonly<Record<string, string>> = { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64', arm64: 'arm64' }

/** Understands the lines of the start script up to `told`. */
export function readFacts(host: string, told: ReadonlyMap<string, string>): HostFacts {
  const text = (name: string) => told.get(name) ?? ''
  const work = text('work')
  if (!work.startsWith('/')) {
    throw new GangflowError({
      code: 'E_SSH_HOST_UNFIT',
      what: `host ${host}: the account there has no home directory ('${work}' was found)`,
      fix: 'name a folder that it may write: workdir=/path in the hosts file',
      host,
    })
  }
  const [client, , server] = text('peer').split(' ')
  return {
    os: text('os').toLowerCase(),
    arch: arches[text('arch')] ?? text('arch'),
    libc: text('libc'),
    kernel: text('kernel'),
    name: text('name'),
    uid: Number(text('uid')),
    cpus: Math.max(1, Number(text('cpus')) || 1),
    gpus: text('gpus')
      .split(/\s+/)
      .filter((name) => /^\d+$/.test(name))
      .sort((a, b) => Number(a) - Number(b)),
    ...(client && server ? { client, address: server } : {}),
    work,
    runtime: text('runtime'),
    ...(text('node') === '' ? {} : { node: { path: text('node'), version: text('version') } }),
    env: envOf(text('env')),
  }
}

function envOf(hex: string): Record<string, string> {
  const entries = Buffer.from(hex, 'hex').toString('utf8').split('\0')
  return Object.fromEntries(
    entries.flatMap((entry) => {
      const at = entry.indexOf('=')
      return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)] as const] : []
    }),
  )
}

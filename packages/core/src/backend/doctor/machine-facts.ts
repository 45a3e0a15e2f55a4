import { lookup } from 'node:dns/promises'
import { existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, freemem, hostname, networkInterfaces, release, tmpdir, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { runCommand } from './run-command.js'

/** A folder's file system; sizes in bytes. */
export interface SpaceFacts {
  readonly path: string
  readonly size: number
  readonly free: number
  readonly type: string
}

/** What a machine says of itself, from inside: the same on hosts (in the probe) and here. Plain JSON. */
export interface MachineFacts {
  readonly hostname: string
  /** What its own name resolves to; empty where nobody knows it. */
  readonly resolves: readonly string[]
  readonly platform: string
  readonly arch: string
  readonly libc: string
  readonly kernel: string
  readonly node: string
  readonly uid: number
  readonly cpus: number
  /** Bytes. */
  readonly memory: { readonly total: number; readonly free: number }
  /** Not loopback, not link-local. */
  readonly addresses: readonly { readonly link: string; readonly address: string; readonly family: 4 | 6 }[]
  readonly work: SpaceFacts | undefined
  readonly temp: SpaceFacts | undefined
  readonly shm: SpaceFacts | undefined
  /** Soft limits; absent: none. */
  readonly limits: { readonly files?: number; readonly processes?: number }
  /** One line a GPU, as the driver names it; undefined: no driver answers. */
  readonly gpus: readonly string[] | undefined
}

/** Milliseconds for a driver or a name service that does not answer. */
const PATIENCE = 10_000

/** @param work folder whose file system matters: what is delivered, or the datastore. */
export async function machineFacts(work: string): Promise<MachineFacts> {
  const [resolves, workSpace, temp, shm, gpus] = await Promise.all([
    within(
      lookup(hostname(), { all: true }).then((all) => all.map(({ address }) => address)),
      [],
    ),
    space(work),
    space(process.env['TMPDIR'] ?? tmpdir()),
    existsSync('/dev/shm') ? space('/dev/shm') : undefined,
    gpuLines(),
  ])
  return {
    hostname: hostname(),
    resolves: [...new Set(resolves)],
    platform: process.platform,
    arch: process.arch,
    libc: libc(),
    kernel: release(),
    node: process.version,
    uid: process.getuid?.() ?? -1,
    cpus: availableParallelism(),
    memory: { total: totalmem(), free: freemem() },
    addresses: addresses(),
    work: workSpace,
    temp,
    shm,
    limits: limits(),
    gpus,
  }
}

/** `glibc 2.36`, or empty. */
function libc(): string {
  if (process.report === undefined) return ''
  // Names of the other ends of sockets would be looked up.
  Object.assign(process.report, { excludeNetwork: true })
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime === undefined ? '' : `glibc ${header.glibcVersionRuntime}`
}

/** Of physical links before those of bridges and tunnels, which others seldom reach. */
function addresses(): MachineFacts['addresses'] {
  const made = /^(docker|br-|veth|virbr|cni|flannel|tun|tap|wg)/
  return Object.entries(networkInterfaces())
    .sort(([a], [b]) => Number(made.test(a)) - Number(made.test(b)))
    .flatMap(([link, all = []]) =>
      all
        .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address))
        .map(({ address, family }) => ({ link, address, family: family === 'IPv6' ? (6 as const) : (4 as const) })),
    )
}

/** Of the folder, or of the nearest above it that is there. */
async function space(path: string): Promise<SpaceFacts | undefined> {
  for (let at = path; ; at = dirname(at)) {
    const found = await within(statfs(at), undefined)
    if (found !== undefined) {
      const { bsize, blocks, bavail, type } = found
      return { path, size: bsize * blocks, free: bsize * bavail, type: types[type] ?? `0x${type.toString(16)}` }
    }
    if (dirname(at) === at) return undefined
  }
}

/** Magic numbers of `statfs(2)`: those that decide something. */
const types: Readonly<Record<number, string>> = {
  16914836: 'tmpfs',
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlay',
  26985: 'nfs',
  4283649346: 'cifs',
  4266872130: 'smb2',
  198183888: 'lustre',
  1702057286: 'fuse',
  1196443219: 'gpfs',
  12805120: 'ceph',
}

function limits(): MachineFacts['limits'] {
  const text = existsSync('/proc/self/limits') ? readFileSync('/proc/self/limits', 'utf8') : ''
  const soft = (name: string) => new RegExp(`^${name} +(\\d+)`, 'm').exec(text)?.[1]
  const [files, processes] = [soft('Max open files'), soft('Max processes')]
  return {
    ...(files === undefined ? {} : { files: Number(files) }),
    ...(processes === undefined ? {} : { processes: Number(processes) }),
  }
}

/** This machine's addresses, best first. */
export const addressesHere = (): string[] => addresses().map(({ address }) => address)

async function gpuLines(): Promise<readonly string[] | undefined> {
  const ask = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader']
  const { exitCode, stdout } = await runCommand(['nvidia-smi', ...ask], PATIENCE)
  return exitCode === 0 ? stdout.split('\n').filter((line) => line.trim() !== '') : undefined
}

/** A value, or the other one where it fails or does not come. */
async function within<T, U>(promise: Promise<T>, otherwise: U): Promise<T | U> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<U>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), PATIENCE)
  })
  try {
    return await Promise.race([promise.catch(() => otherwise), late])
  } finally {
    clearTimeout(timer)
  }
}

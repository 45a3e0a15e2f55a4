import { closeSync, openSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GangflowError } from '../../errors/base.js'
import { type HostPlatform, platformName } from './host-platform.js'
import type { Part } from './parts.js'

/** A package that runs on some platforms only; absent fields: on any. */
export interface Native {
  readonly name: string
  readonly version?: string
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
  /** Packages that take it, or another like it, as an optional dependency. */
  readonly optionalOf: readonly string[]
  /** What its users may take instead of it, installed here or not, with the range: `@esbuild/linux-arm64@0.28.2`. */
  readonly others: readonly string[]
}

/** The packages with something native in them: package.json says so, or an addon has a machine in its header. */
export async function nativesOf(parts: readonly Part[]): Promise<Native[]> {
  const packages = parts.filter(({ kind }) => kind === 'package')
  const manifests = new Map(await Promise.all(packages.map(async (part) => [part, await manifestOf(part)] as const)))
  return packages.flatMap((part) => {
    const manifest = manifests.get(part)!
    const platform = declared(manifest) ?? machineOf(part)
    if (platform === undefined) return []
    const users = [...manifests].filter(([, other]) => Object.hasOwn(tableOf(other, 'optionalDependencies'), part.name))
    const others = users.flatMap(([, other]) =>
      Object.entries(tableOf(other, 'optionalDependencies')).map(([name, range]) => `${name}@${range}`),
    )
    return {
      name: part.name,
      ...(part.version === undefined ? {} : { version: part.version }),
      ...platform,
      optionalOf: users.map(([user]) => user.name),
      others: [...new Set(others)],
    }
  })
}

/**
 * Throws E_CODE_PLATFORM when something native that runs where the flow was packed would not run on that platform. What
 * is optional counts only where its users name another of its kind for that platform, and that is not installed.
 */
export function requirePlatform(natives: readonly Native[], packedOn: HostPlatform, host: HostPlatform): void {
  const served = new Set(natives.filter((native) => fits(native, host)).flatMap(({ optionalOf }) => optionalOf))
  const missing = natives.filter((native) => {
    if (fits(native, host) || !fits(native, packedOn)) return false
    return (
      native.optionalOf.length === 0 ||
      (!native.optionalOf.some((user) => served.has(user)) && insteadOf(native, host).length > 0)
    )
  })
  if (missing.length === 0) return
  const names = missing.map(({ name, version }) => (version === undefined ? name : `${name} ${version}`))
  const instead = [...new Set(missing.flatMap((native) => insteadOf(native, host)))]
  const flags = `--os ${host.os} --cpu ${host.cpu}${host.libc ? ` --libc ${host.libc}` : ''}`
  throw new GangflowError({
    code: 'E_CODE_PLATFORM',
    what: `this host is ${platformName(host)}, and these packages of the flow are for ${platformName(packedOn)}: ${names.join(', ')}`,
    fix:
      instead.length === missing.length
        ? `where the run is started: npm install --no-save --force ${instead.join(' ')}`
        : `where the run is started: npm install ${flags} (that platform's instead of this one's), or use hosts of one kind`,
    details: { host, packages: names },
  })
}

const fits = (native: Native, on: HostPlatform): boolean =>
  allows(native.os, on.os) && allows(native.cpu, on.cpu) && (on.libc === undefined || allows(native.libc, on.libc))

/** Of the same kind, by the name that says its platform. */
const insteadOf = ({ others }: Native, host: HostPlatform): string[] =>
  others.filter(
    (other) => other.includes(host.os) && other.includes(host.cpu) && other.includes('musl') === (host.libc === 'musl'),
  )

const allows = (list: readonly string[] | undefined, word: string): boolean =>
  list === undefined || (list.some((one) => !one.startsWith('!')) ? list.includes(word) : !list.includes(`!${word}`))

type Manifest = Readonly<Record<string, unknown>>

async function manifestOf({ folder }: Part): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
}

const tableOf = (manifest: Manifest, field: string): Record<string, string> =>
  (typeof manifest[field] === 'object' ? (manifest[field] as Record<string, string> | null) : null) ?? {}

function declared(manifest: Manifest): Pick<Native, 'os' | 'cpu' | 'libc'> | undefined {
  const list = (field: string) => {
    const value = manifest[field]
    return value === undefined ? {} : { [field]: [value].flat().map(String) }
  }
  const said = { ...list('os'), ...list('cpu'), ...list('libc') }
  return Object.keys(said).length > 0 ? said : undefined
}

/** Machines of ELF (e_machine) by Node's names. */
const machines: Readonly<Record<number, string>> = { 62: 'x64', 183: 'arm64', 243: 'riscv64', 21: 'ppc64', 22: 's390x' }

/** Of addons that came without such words: what their headers say. Undefined without one, or with some for several. */
function machineOf({ files }: Part): Pick<Native, 'os' | 'cpu'> | undefined {
  const cpus = new Set<string>()
  const systems = new Set<string>()
  for (const { at, source } of files) {
    if (!at.endsWith('.node')) continue
    const head = Buffer.alloc(20)
    const file = openSync(source, 'r')
    try {
      readSync(file, head)
    } finally {
      closeSync(file)
    }
    const elf = head.readUInt32BE(0) === 0x7f454c46
    systems.add(elf ? 'linux' : head.readUInt16LE(0) === 0x5a4d ? 'win32' : 'darwin')
    if (elf) cpus.add(machines[head.readUInt16LE(18)] ?? 'unknown')
  }
  if (systems.size === 0) return undefined
  return { os: [...systems], ...(cpus.size > 0 ? { cpu: [...cpus] } : {}) }
}

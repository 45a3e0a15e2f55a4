import { closeSync, openSync, readSync } from 'node:fs'

/** What a machine can run, in the words of package.json's `os`, `cpu` and `libc`. */
export interface HostPlatform {
  /** As `process.platform`: `linux`. */
  readonly os: string
  /** As `process.arch`: `x64`, `arm64`. */
  readonly cpu: string
  /** Of Linux alone. */
  readonly libc?: 'glibc' | 'musl'
}

/** The platform of this process. */
export function thisPlatform(): HostPlatform {
  const { platform: os, arch: cpu } = process
  return os === 'linux' ? { os, cpu, libc: libcOf(process.execPath) } : { os, cpu }
}

/** `linux arm64 musl`, for people. */
export const platformName = ({ os, cpu, libc }: HostPlatform): string => [os, cpu, libc].filter(Boolean).join(' ')

/** By the loader that a program names near its beginning. */
function libcOf(program: string): 'glibc' | 'musl' {
  const head = Buffer.alloc(8192)
  const file = openSync(program, 'r')
  try {
    readSync(file, head)
  } finally {
    closeSync(file)
  }
  return head.includes('/ld-musl-') ? 'musl' : 'glibc'
}

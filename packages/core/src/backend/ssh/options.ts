import { GangflowError } from '../../errors/base.js'
import { type HostSpec, parseHostList, readHostsFile } from './hosts.js'
import type { SshWay } from './ssh-argv.js'

/** Options of the backend, as flags (`--hosts-file`) or `backendOptions` give them. */
export const sshOptionNames = [
  'hosts',
  'hostsFile',
  'ssh',
  'sshConfig',
  'sshOption',
  'fanOut',
  'connectTimeout',
] as const

export interface SshSettings {
  readonly hosts: readonly HostSpec[]
  readonly way: SshWay
  readonly fanOut: number
}

/** Reads and checks them; throws `E_SSH_HOSTS` and `E_OPTION`. */
export function readSshOptions(options: Readonly<Record<string, unknown>>): SshSettings {
  const { hosts, hostsFile, ssh, sshConfig, sshOption, fanOut, connectTimeout } = options
  if (hosts !== undefined && hostsFile !== undefined)
    throw refused('--hosts and --hosts-file are given both', 'keep one of them')
  const listed =
    hostsFile !== undefined
      ? readHostsFile(text('hostsFile', hostsFile))
      : parseHostList(Array.isArray(hosts) ? hosts.join(',') : text('hosts', hosts ?? ''))
  if (listed.length === 0) {
    throw new GangflowError({
      code: 'E_SSH_HOSTS',
      what: "backend 'ssh' was given no hosts",
      fix: 'name them: --hosts a,b:22,user@c, or --hosts-file FILE with one host a line',
    })
  }
  return {
    hosts: listed,
    fanOut: count('fanOut', fanOut ?? 32),
    way: {
      program: ssh === undefined ? 'ssh' : text('ssh', ssh),
      ...(sshConfig === undefined ? {} : { config: text('sshConfig', sshConfig) }),
      options: (Array.isArray(sshOption) ? sshOption : sshOption === undefined ? [] : [sshOption]).map((one) =>
        setting(text('sshOption', one)),
      ),
      connectSeconds: count('connectTimeout', connectTimeout ?? 10),
    },
  }
}

function setting(value: string): string {
  if (/^[A-Za-z]+[= ]./.test(value)) return value
  throw refused(`--ssh-option ${value} is no setting of OpenSSH`, 'write Name=value, as for ssh -o')
}

function text(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw refused(`option '${name}' of backend 'ssh' is no text`, 'write it in quotes')
}

function count(name: string, value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 1) return value as number
  throw refused(`option '${name}' of backend 'ssh' is no whole number of at least 1`, 'correct it')
}

const refused = (what: string, fix: string): GangflowError => new GangflowError({ code: 'E_OPTION', what, fix })

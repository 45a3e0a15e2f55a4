import { GangflowError } from '../../errors/base.js'

/** Why OpenSSH's client did not get through, by what it said; `again`: another attempt may (sshd's MaxStartups). */
export interface SshFailure {
  readonly error: GangflowError
  readonly again: boolean
}

interface Known {
  readonly pattern: RegExp
  readonly code: string
  readonly what: string
  readonly fix: (host: string) => string
  readonly again?: boolean
}

const known: readonly Known[] = [
  {
    pattern: /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No .* host key is known/,
    code: 'E_SSH_HOST_KEY',
    what: 'its host key is not the one in your known_hosts, or not there yet',
    fix: (host) => `log in once and compare the key: ssh ${host}`,
  },
  {
    pattern: /Permission denied|Too many authentication failures|No supported authentication methods/,
    code: 'E_SSH_DENIED',
    what: 'it accepts none of your keys',
    fix: (host) => `make \`ssh ${host} true\` work without a question: ssh-copy-id ${host}, or ssh-add your key`,
  },
  {
    pattern: /Could not resolve hostname|Name or service not known|nodename nor servname/,
    code: 'E_SSH_NAME',
    what: 'its name cannot be resolved',
    fix: () => 'correct the name, or give its address in your SSH configuration (HostName)',
  },
  {
    pattern: /Connection refused/,
    code: 'E_SSH_REFUSED',
    what: 'no SSH server listens there',
    fix: (host) => `start sshd on ${host}, or give its port as ${host}:PORT`,
  },
  {
    pattern:
      /kex_exchange_identification|ssh_exchange_identification|Connection reset|banner exchange|Exceeded MaxStartups|Connection closed by/,
    code: 'E_SSH_BUSY',
    what: 'its SSH server closed the connection before the login',
    fix: () =>
      'too many log in at once (MaxStartups of its sshd_config), or a firewall closes it: try again with a smaller fan-out',
    again: true,
  },
  {
    pattern: /timed out|No route to host|Network is unreachable|Host is down/,
    code: 'E_SSH_UNREACHABLE',
    what: 'it cannot be reached',
    fix: (host) => `see whether ${host} is up and its port is open from here`,
    again: true,
  },
  {
    pattern: /Bad configuration option|terminating, \d+ bad configuration|Can't open user config file/,
    code: 'E_SSH_CONFIG',
    what: 'your SSH configuration is refused by your SSH client',
    fix: (host) => `see: ssh -G ${host}`,
  },
]

/** The failure behind the end of an `ssh` process that had not come through. */
export function sshFailure(host: string, stderr: string, exit: string, stdout = ''): SshFailure {
  const said = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('Warning: Permanently added'))
  const match = known.find(({ pattern }) => pattern.test(stderr))
  const tail = (match || stdout === '' ? said.slice(-3) : [...said.slice(-2), stdout]).join(' / ')
  return {
    again: match?.again === true,
    error: new GangflowError({
      code: match?.code ?? 'E_SSH_FAILED',
      what: `host ${host}: ${match?.what ?? `the SSH connection ended (${exit}) before anything could be started`}${tail === '' ? '' : ` (ssh says: ${tail})`}`,
      fix: match?.fix(host) ?? `see what \`ssh ${host} true\` says`,
      host,
    }),
  }
}

import { shellWord } from '../../errors/shell-word.js'
import type { HostSpec } from './hosts.js'

/** How the person's OpenSSH client is called. */
export interface SshWay {
  /** The program. Default `ssh`. */
  readonly program: string
  /** Another configuration file than the person's: `ssh -F`. */
  readonly config?: string
  /** `-o` settings of the person, before ours: OpenSSH takes the first that it reads. */
  readonly options: readonly string[]
  /** Seconds for one attempt to connect. */
  readonly connectSeconds: number
}

/** Of a connection of its own (no shared master that outlives it), without questions, that notices a dead peer. */
const settings = (way: SshWay): readonly string[] => [
  ...way.options,
  'BatchMode=yes',
  `ConnectTimeout=${way.connectSeconds}`,
  'ControlMaster=no',
  'ControlPath=none',
  'ServerAliveInterval=15',
  'ServerAliveCountMax=4',
  'StreamLocalBindUnlink=yes',
  'ExitOnForwardFailure=no',
  'ForwardX11=no',
  'ClearAllForwardings=no',
  'PermitLocalCommand=no',
  'RequestTTY=no',
  // A person's own for logging in would be refused beside ours.
  'RemoteCommand=none',
]

/** The words by which OpenSSH's programs are told of the way. */
export const sshOptions = (way: SshWay): readonly string[] => [
  ...(way.config === undefined ? [] : ['-F', way.config]),
  ...settings(way).flatMap((setting) => ['-o', setting]),
]

/** A command line that runs `command` on the host, whose words every login shell reads alike. */
export function sshArgv(
  spec: Pick<HostSpec, 'host' | 'user' | 'port'>,
  way: SshWay,
  extra: {
    readonly command?: readonly string[]
    readonly forward?: { readonly there: string; readonly here: string }
  } = {},
): string[] {
  const { command = ['sh', '-s'], forward } = extra
  return [
    way.program,
    ...sshOptions(way),
    ...(forward ? ['-R', `${forward.there}:${forward.here}`] : []),
    ...(spec.port === undefined ? [] : ['-p', String(spec.port)]),
    ...(spec.user === undefined ? [] : ['-l', spec.user]),
    '-T',
    spec.host,
    ...command.map(shellWord),
  ]
}

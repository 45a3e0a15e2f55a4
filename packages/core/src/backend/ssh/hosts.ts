import { readFileSync } from 'node:fs'
import { GangflowError, messageOf } from '../../errors/base.js'

/** A place for one member, as the person names it. */
export interface HostSpec {
  /** A name of the person's SSH configuration, a host name or an address. */
  readonly host: string
  readonly user?: string
  readonly port?: number
  /** Ranks that the member takes. Default: the host's CPUs, shared among its members. */
  readonly slots?: number
  /** GPUs that the member takes, lowest first. Default: the host's, shared among its members. */
  readonly gpus?: number
  /** Interpreter for plugins that run Python: `GANGFLOW_PYTHON` of the member. */
  readonly python?: string
  /** Node on the host. Default: the one on its PATH when it is new enough, else one is delivered. */
  readonly node?: string
  /** Folder for what is delivered and spooled; `~/` is the user's home. Default `~/.cache/gangflow`. */
  readonly workdir?: string
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/
const ADDRESS_6 = /^[0-9A-Fa-f:.]+(?:%[\w.-]+)?$/

/** `a,b:22,user@c,[fd00::1]:2222`; a host that is named twice takes two members. Throws `E_SSH_HOSTS`. */
export function parseHostList(text: string): HostSpec[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
    .map((word) => parseHost(word, '--hosts'))
}

/**
 * One host a line: `host slots=4 gpus=2 user= port= python= node= workdir=`; `#` begins a comment. A host on two
 * lines takes two members. Throws `E_SSH_HOSTS` with file and line.
 */
export function readHostsFile(path: string): HostSpec[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new GangflowError(
      {
        code: 'E_SSH_HOSTS',
        what: `the hosts file ${path} cannot be read: ${messageOf(cause)}`,
        fix: 'name a file with one host a line, such as `node1 slots=4 user=me`',
      },
      { cause },
    )
  }
  return text.split('\n').flatMap((line, index) => {
    const words = line.replace(/#.*/, '').trim().split(/\s+/).filter(Boolean)
    if (words.length === 0) return []
    const place = `${path}:${index + 1}`
    const [name, ...settings] = words as [string, ...string[]]
    return [{ ...parseHost(name, place), ...parseSettings(settings, place) }]
  })
}

function parseHost(word: string, place: string): HostSpec {
  const bad = (why: string) => refused(place, `'${word}' ${why}`, 'write host, user@host, host:port or [address]:port')
  const match = /^(?:([^@]*)@)?(?:\[([^\]]+)\]|([^:]*))(?::(.*))?$/.exec(word)
  // An IPv6 address without brackets has no port.
  const bare = !word.includes('[') && (word.match(/:/g)?.length ?? 0) > 1
  const [user, host, port] = bare
    ? [/^([^@]*)@/.exec(word)?.[1], word.replace(/^[^@]*@/, ''), undefined]
    : [match?.[1], match?.[2] ?? match?.[3], match?.[4]]
  if (host === undefined || !(NAME.test(host) || (host.includes(':') && ADDRESS_6.test(host)))) {
    throw bad('is no host')
  }
  if (user !== undefined && !/^[A-Za-z0-9_][\w.$-]*$/.test(user)) throw bad('names no user before the @')
  return {
    host,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: wholeNumber('port', port, place, 1, 65_535) }),
  }
}

const settingNames = ['slots', 'gpus', 'user', 'port', 'python', 'node', 'workdir'] as const

function parseSettings(words: readonly string[], place: string): Partial<HostSpec> {
  const settings: Record<string, string | number> = {}
  for (const word of words) {
    const [, name, value] = /^([a-z]+)=(.*)$/.exec(word) ?? []
    if (name === undefined || !settingNames.includes(name as never) || value === undefined || value === '')
      throw refused(place, `'${word}' is no setting of a host`, `known are ${settingNames.join('=, ')}=`)
    if (name in settings) throw refused(place, `${name} is given twice`, 'keep one')
    if (name === 'slots') settings[name] = wholeNumber(name, value, place, 1, 1 << 20)
    else if (name === 'gpus') settings[name] = wholeNumber(name, value, place, 0, 1 << 10)
    else if (name === 'port') settings[name] = wholeNumber(name, value, place, 1, 65_535)
    else if (name === 'workdir' && !/^(\/|~\/)/.test(value))
      throw refused(place, `workdir=${value} is no absolute path`, 'begin it with / or ~/')
    else settings[name] = value
  }
  return settings as Partial<HostSpec>
}

function wholeNumber(name: string, text: string, place: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw refused(place, `${name} '${text}' is no whole number from ${least} to ${most}`, 'correct it')
}

const refused = (place: string, what: string, fix: string): GangflowError =>
  new GangflowError({ code: 'E_SSH_HOSTS', what: `${place}: ${what}`, fix })

/** The same machine and way to it, as far as the person's words tell. */
export const hostKeyOf = ({ user, host, port, workdir }: HostSpec): string =>
  `${user ?? ''}@${host}:${port ?? ''}${workdir ?? ''}`

import { deferred } from '../../body/deferred.js'
import { GangflowError } from '../../errors/base.js'
import type { Bootstrap, MemberBootstrap, Prelude } from '../contract.js'
import { SECRET_BYTES } from '../keys.js'

/** What an agent knows before it has anywhere to join. */
export interface AgentPrelude extends Prelude {
  readonly member: MemberBootstrap
}

/** All that an agent is told, on its stdin and nowhere else (D2). */
export type AgentBootstrap = Bootstrap & AgentPrelude

/** Milliseconds until the first line has come. */
const FIRST_MS = 10_000
/** And until the second: whoever started it ahead of need has let it go long before, or is stopped. */
const SECOND_MS = 60_000

/** The first of two lines of JSON; without a member each agent finds its own place. */
export const encodePrelude = (
  { transport, address, datastore, timeouts, body }: Prelude,
  member: MemberBootstrap | undefined,
) => lineOf({ transport, address, datastore, timeouts, ...(body ? { body } : {}), member })

/** The second, after which nothing comes: the secret, in base64, and where to join. */
export const encodeSecret = ({ secret, rendezvous }: Pick<Bootstrap, 'secret' | 'rendezvous'>): Uint8Array =>
  lineOf({ secret: Buffer.from(secret).toString('base64'), rendezvous })

/** Both at once. */
export const encodeBootstrap = (bootstrap: Bootstrap, member: MemberBootstrap): Uint8Array =>
  Buffer.concat([encodePrelude(bootstrap, member), encodeSecret(bootstrap)])

/** What is read of it; each rejects with `E_GANG_BOOTSTRAP` when it does not come, or is something else. */
export interface ReadBootstrap {
  readonly prelude: Promise<AgentPrelude>
  readonly whole: Promise<AgentBootstrap>
}

/** Reads it as it comes; `placeHere` says what the agent's own part is where it was not told. */
export function readBootstrap(
  stream: NodeJS.ReadableStream,
  placeHere?: (prelude: Prelude) => MemberBootstrap,
): ReadBootstrap {
  const prelude = deferred<AgentPrelude>()
  const whole = deferred<AgentBootstrap>()
  for (const { promise } of [prelude, whole]) promise.catch(() => {})
  let first: AgentPrelude | undefined
  let held = ''
  let timer = setTimeout(() => refuse(new Error(`nothing came for ${FIRST_MS} ms`)), FIRST_MS)
  const refuse = (cause: unknown) => {
    clearTimeout(timer)
    stream.removeAllListeners('data').pause()
    const error = notTold(cause)
    prelude.reject(error)
    whole.reject(error)
  }
  const take = (line: string) => {
    const told = JSON.parse(line) as Record<string, unknown>
    if (first === undefined) {
      if (placeHere) told['member'] = placeHere(told as unknown as Prelude)
      if (typeof told['member'] !== 'object') throw new Error('incomplete')
      first = told as unknown as AgentPrelude
      prelude.resolve(first)
      clearTimeout(timer)
      timer = setTimeout(() => refuse(new Error(`no secret came for ${SECOND_MS} ms`)), SECOND_MS)
      return
    }
    const secret = new Uint8Array(Buffer.from(String(told['secret']), 'base64'))
    if (secret.length !== SECRET_BYTES || typeof told['rendezvous'] !== 'string') throw new Error('incomplete')
    clearTimeout(timer)
    whole.resolve({ ...first, secret, rendezvous: told['rendezvous'] })
  }
  // No iterator: the modules that Node loads for one cost an agent a twentieth of its start.
  stream.on('data', (chunk) => {
    held += (chunk as Buffer).toString('latin1')
    const lines = held.split('\n')
    held = lines.pop()!
    try {
      for (const line of lines) take(Buffer.from(line, 'latin1').toString('utf8'))
    } catch (cause) {
      refuse(cause)
    }
  })
  stream.once('end', () => refuse(new Error('it ended before')))
  stream.once('error', refuse)
  return { prelude: prelude.promise, whole: whole.promise }
}

const lineOf = (value: object): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`)

const notTold = (cause: unknown): GangflowError =>
  new GangflowError(
    {
      code: 'E_GANG_BOOTSTRAP',
      what: 'the agent was not told on its stdin which gang it belongs to',
      fix: 'agents are started by a backend, not by hand',
    },
    { cause },
  )

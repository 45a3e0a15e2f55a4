import { GangflowError } from '../../errors/base.js'
import type { Bootstrap, MemberBootstrap } from '../contract.js'
import { SECRET_BYTES } from '../keys.js'

/** All that an agent is told at its start, on its stdin and nowhere else (D2). */
export interface AgentBootstrap extends Bootstrap {
  readonly member: MemberBootstrap
}

/** As one line of JSON; the secret in base64. */
export function encodeBootstrap(bootstrap: Bootstrap, member: MemberBootstrap): Uint8Array {
  return Buffer.from(
    `${JSON.stringify({ ...bootstrap, member, secret: Buffer.from(bootstrap.secret).toString('base64') })}\n`,
  )
}

/** Reads it to the end of the stream; `E_GANG_BOOTSTRAP` when it is none or does not come within 10 s. */
export async function readBootstrap(stream: NodeJS.ReadableStream): Promise<AgentBootstrap> {
  const chunks: Buffer[] = []
  const timer = setTimeout(() => (stream as unknown as { destroy(): void }).destroy(), 10_000)
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    const told = JSON.parse(Buffer.concat(chunks).toString('utf8')) as AgentBootstrap & { secret: unknown }
    const secret = Buffer.from(String(told.secret), 'base64')
    if (secret.length !== SECRET_BYTES || typeof told.rendezvous !== 'string') throw new Error('incomplete')
    return { ...told, secret: new Uint8Array(secret) }
  } catch (cause) {
    throw new GangflowError(
      {
        code: 'E_GANG_BOOTSTRAP',
        what: 'the agent was not told on its stdin which gang it belongs to',
        fix: 'agents are started by a backend, not by hand',
      },
      { cause },
    )
  } finally {
    clearTimeout(timer)
  }
}

import type { SFTPWrapper } from 'ssh2'
import { Handles } from './handles.js'
import { operations, type Reply } from './operations.js'
import { statusOf } from './status.js'

/** ssh2's SFTP session of a server, as it is. */
interface Session extends Omit<SFTPWrapper, 'on'> {
  on(event: string, listener: (...values: never[]) => void): void
  end(): void
  status(id: number, code: number, message?: string): void
  readonly outgoing: { readonly id: number; readonly state: string }
  readonly _protocol: { exitStatus(channel: number, code: number): void }
}

/** Requests under way after which the next ones wait their turn. */
const AT_ONCE = 64

/** SFTP version 3 on this host's files, with the rights of this process; relative paths mean `home`. */
export function serveSftp(wrapper: SFTPWrapper, home: string): void {
  const session = wrapper as unknown as Session
  const handles = new Handles()
  const reply = wrapper as unknown as Reply
  const waiting: (() => Promise<void>)[] = []
  let running = 0
  const next = (): void => {
    const act = running < AT_ONCE ? waiting.shift() : undefined
    if (!act) return
    running += 1
    void act().finally(() => {
      running -= 1
      next()
    })
  }
  for (const [name, perform] of Object.entries(operations({ home, handles, reply }))) {
    session.on(name, ((id: number, ...values: never[]) => {
      waiting.push(async () => {
        try {
          await (perform as (id: number, ...values: never[]) => Promise<unknown>)(id, ...values)
        } catch (error) {
          const { code, message } = statusOf(error)
          session.status(id, code, message)
        }
      })
      next()
    }) as never)
  }
  session.on('end', () => {
    void handles.closeAll()
    // ssh2 has no call for it, and without it scp reports a failure.
    if (session.outgoing.state === 'open') session._protocol.exitStatus(session.outgoing.id, 0)
    session.end()
  })
  session.on('error', () => {
    void handles.closeAll()
    session.end()
  })
}

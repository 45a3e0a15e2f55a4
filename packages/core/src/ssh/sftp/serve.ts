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

/**
 * SFTP version 3 on this host's files, with the rights of this process; relative paths mean `home`. One
 * request after the other: OpenSSH's client cuts a file off where answers come out of order (9.2, `highwater`).
 */
export function serveSftp(wrapper: SFTPWrapper, home: string): void {
  const session = wrapper as unknown as Session
  const handles = new Handles()
  const reply = wrapper as unknown as Reply
  let last = Promise.resolve()
  for (const [name, perform] of Object.entries(operations({ home, handles, reply }))) {
    session.on(name, ((id: number, ...values: never[]) => {
      last = last
        .then(() => (perform as (id: number, ...values: never[]) => Promise<unknown>)(id, ...values))
        .then(
          () => {},
          (error: unknown) => {
            const { code, message } = statusOf(error)
            session.status(id, code, message)
          },
        )
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

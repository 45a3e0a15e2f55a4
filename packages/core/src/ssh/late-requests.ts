import type { Connection, Session } from 'ssh2'

/** What ssh2's server side keeps of a connection. */
interface Inside {
  readonly _chanMgr: { get(channel: number): unknown }
  readonly _protocol: { readonly _handlers: { CHANNEL_REQUEST: Handler } }
}

type Handler = (protocol: unknown, channel: number, type: string, wantReply: boolean, data: unknown) => void

/**
 * ssh2 refuses whatever is asked of a session once its input has ended, and so loses the signals and window sizes of
 * every `ssh -n`; and it does not know the request by which OpenSSH says that nobody reads the output any more. Both
 * come as events here: `signal`, `window-change`, and `eow`.
 */
export function hearLateRequests(connection: Connection): void {
  const { _chanMgr: channels, _protocol } = connection as unknown as Inside
  const before = _protocol._handlers.CHANNEL_REQUEST
  _protocol._handlers.CHANNEL_REQUEST = (protocol, channel, type, wantReply, data) => {
    const session = channels.get(channel) as (Session & { readonly type?: string }) | undefined
    if (wantReply || session?.type !== 'session') return before(protocol, channel, type, wantReply, data)
    if (type === 'eow@openssh.com') session.emit('eow')
    else if (type === 'signal') session.emit('signal', undefined, undefined, { name: data })
    else if (type === 'window-change') session.emit('window-change', undefined, undefined, data)
    else before(protocol, channel, type, wantReply, data)
  }
}

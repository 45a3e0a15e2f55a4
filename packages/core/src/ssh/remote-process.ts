import type { ClientChannel } from 'ssh2'
import { ChannelStream } from './channel.js'
import type { RemoteExit, RemoteProcess } from './contract.js'
import { channelError } from './errors.js'

/** A process at the other end of a channel of this side. */
export function remoteProcess(channel: ClientChannel, memberId: string): RemoteProcess {
  const stream = new ChannelStream(channel, true)
  stream.on('error', () => {})
  let exit: RemoteExit | undefined
  channel.once('exit', (code: number | null, signal?: string) => {
    // ssh2 gives the name as the wire has it, without SIG, where it is OpenSSH that sent it.
    exit = {
      code: signal ? null : (code ?? 255),
      signal: signal ? (`SIG${signal.replace(/^SIG/, '')}` as NodeJS.Signals) : null,
    }
  })
  const exited = new Promise<RemoteExit>((resolve, reject) => {
    channel.once('close', () => {
      if (exit) resolve(exit)
      else reject(channelError(memberId, 'the channel closed before its command had ended'))
    })
  })
  exited.catch(() => {})
  return {
    stdin: stream,
    stdout: stream,
    stderr: channel.stderr,
    exited,
    signal: (name) => channel.signal(name.replace(/^SIG/, '')),
    resize: ({ rows, columns }) => channel.setWindow(rows, columns, 0, 0),
    close: () => stream.destroy(),
  }
}

import type { GangShell, GangShellChannel } from '../../plugin/contract.js'
import { call, type Link } from './link.js'

/** The gang's remote shell, as the member's agent has it. */
export function shell(link: Link): { shell(): Promise<GangShell> } {
  const channels = new Map<number, GangShellChannel>()
  const listeners = new Set<(channel: GangShellChannel) => void>()
  const hear = (channel: GangShellChannel) => {
    // What was told live is newer than what the first call brings.
    channels.set(channel.id, channel)
    for (const listener of listeners) listener(channel)
  }
  link.on('gang.channel', (data) => hear(data as unknown as GangShellChannel))
  return {
    async shell() {
      const { result } = await call(link, 'gang.shell', {})
      const { channels: known, ...places } = result as unknown as Omit<GangShell, 'onChannel'> & {
        channels: readonly GangShellChannel[]
      }
      for (const channel of known) if (!channels.has(channel.id)) hear(channel)
      return {
        ...places,
        onChannel(listener) {
          for (const channel of channels.values()) listener(channel)
          listeners.add(listener)
        },
      }
    },
  }
}

import type { RunEvent } from '../../runtime/contract.js'
import { type Style, styleOf } from '../style.js'
import { plainLines } from './plain.js'

/** How a run's events are shown. */
export interface View {
  show(event: RunEvent): void
  close(): void
}

/** The view that fits: JSON lines when asked, live on a terminal, plain lines elsewhere. */
export async function openView(args: Readonly<Record<string, unknown>>, stream: NodeJS.WriteStream): Promise<View> {
  if (args['json'] === true) return { show: (event) => void stream.write(`${JSON.stringify(event)}\n`), close() {} }
  const style = styleOf(stream, args)
  if (stream.isTTY && process.env['TERM'] !== 'dumb' && !process.env['CI']) {
    const { LiveView } = await import('./live.js')
    return new LiveView(stream, style)
  }
  return plainView(stream, style)
}

function plainView(stream: NodeJS.WriteStream, style: Style): View {
  return {
    show(event) {
      const lines = plainLines(event, style)
      if (lines.length > 0) stream.write(`${lines.join('\n')}\n`)
    },
    close() {},
  }
}

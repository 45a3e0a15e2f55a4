import { torchFamily } from '../src/family.js'
import { makeTorch } from '../src/namespace.js'
import type { TorchResult, TorchRunOptions, TorchrunOptions } from '../src/options.js'
import type { Session } from '../src/session.js'
import { LocalGang } from './local-gang.js'

export const fixtures = new URL('./fixtures', import.meta.url).pathname

export interface Called {
  readonly gang: LocalGang
  readonly sessions: readonly Session[]
  /** What each member's call settled with. */
  readonly settled: PromiseSettledResult<TorchResult>[]
}

/** One `current.torch.run` on every member of a new gang; disposes of the gang when `look` has looked. */
export async function calling<T>(
  about: { size?: number; options?: TorchrunOptions; gang?: (gang: LocalGang) => void },
  call: TorchRunOptions | ((node: number) => TorchRunOptions),
  look: (called: Called) => T | Promise<T>,
): Promise<T> {
  const gang = new LocalGang(about.size ?? 2, fixtures)
  about.gang?.(gang)
  const sessions = Array.from({ length: gang.size }, (_, node) => ({
    gang: gang.member(node),
    options: about.options ?? {},
    family: torchFamily,
    calls: 0,
    open: 0,
    prefork: undefined,
  }))
  try {
    const settled = await Promise.allSettled(
      sessions.map((session, node) => makeTorch(session).run(typeof call === 'function' ? call(node) : call)),
    )
    return await look({ gang, sessions, settled })
  } finally {
    gang.dispose()
  }
}

import { GangflowError, messageOf } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import type { RankFamily } from './family.js'
import { digest, type Settings } from './settings.js'

interface Call {
  readonly digest: string
  readonly entrypoint: string
  readonly port: number | null
}

/** All members call together and alike; the control brings the port. Throws `E_TORCH_START`, `E_TORCH_MISMATCH`. */
export async function meet(
  gang: GangContext,
  family: RankFamily,
  settings: Settings,
  port: number | null,
): Promise<number> {
  const mine: Call = { digest: digest(settings), entrypoint: settings.entrypoint, port }
  const timeout = settings.startTimeoutMs
  let calls: Call[]
  try {
    calls = await gang.allGather(mine, { timeout, signal: gang.signal })
  } catch (cause) {
    // Too late, gone without calling, or calling something else: in each case the cause says who.
    if (gang.signal.aborted || !GangflowError.is(cause) || !/^E_GANG_(COLLECTIVE|LEFT)/.test(cause.code)) throw cause
    throw new GangflowError(
      {
        code: 'E_TORCH_START',
        what: `not every member called ${family.call} (in ${timeout / 1000} s): ${messageOf(cause).split('\n')[0]}`,
        fix: `call it on every member, unconditionally, or give ${family.decorator} a longer \`startTimeout\``,
        step: gang.step,
        node: gang.nodeIndex,
      },
      { cause },
    )
  }
  const other = calls.findIndex((call) => call.digest !== mine.digest)
  if (other >= 0)
    throw new GangflowError({
      code: 'E_TORCH_MISMATCH',
      what:
        calls[other]!.entrypoint === mine.entrypoint
          ? `nodes ${gang.nodeIndex} and ${other} called ${family.call} with different launchers or numbers of ranks`
          : `node ${gang.nodeIndex} runs ${mine.entrypoint}, node ${other} runs ${calls[other]!.entrypoint}`,
      fix: 'give the same on every member; what differs by rank belongs into args, env or the script',
      step: gang.step,
      node: gang.nodeIndex,
    })
  return calls[0]!.port!
}

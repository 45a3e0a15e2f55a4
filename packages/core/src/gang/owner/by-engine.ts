import type { EngineEnds } from '../contract.js'
import { type Stopped, sendHome, settleMembers } from './ending.js'
import type { OwnedGang } from './gang.js'

/**
 * The engine itself ends the members: all that was seen of their ends is an echo of that. How it did it says only once they
 * have gone, so they go first, with all that they have to store.
 */
export async function byEngine(gang: OwnedGang, stopped: Stopped, { id, ended }: EngineEnds): Promise<Stopped> {
  await settleMembers(gang)
  await sendHome(gang)
  const end = await ended
  const { judgement } = stopped
  if (!end?.cause || !judgement || gang.stop) return stopped
  const { cause, summary, state, fix, host } = end
  const { first, echoes } = judgement
  const { lastLines } = first.casualty
  return {
    ...stopped,
    judgement: {
      first: {
        at: first.at,
        weight: 'own',
        cause,
        code: 'E_JOB_ENDED',
        summary: `job ${id} of step '${gang.attempt.request.step.name}' ${summary} (${state})`,
        ...(fix === undefined ? {} : { fix }),
        casualty: { kind: 'member', ...(host === undefined ? {} : { host }), ...(lastLines ? { lastLines } : {}) },
      },
      echoes: [first, ...echoes],
    },
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import { GangflowError } from '@gangflow/core'
import { said, slurmCommand, unanswered } from './command.js'
import { someAway } from './findings.js'
import { parseComments, parseSubmitted } from './parse.js'
import { optionIn, type SlurmPlan } from './plan.js'
import { cannotStart } from './states.js'
import { rowOf } from './watch.js'

/** Milliseconds before a controller that did not answer is asked again. */
export const AGAIN_MS = 2_000
/** And for which one is waited for that has answered before: it is started anew, or another one takes its place. */
const AWAY_MS = 600_000
/** Milliseconds between two looks at why a job waits, and how many of them. */
const LOOK_MS = 500
const LOOKS = 6

/** Hands jobs over: what can never be met is refused at once, what can be met later waits in Slurm's queue. */
export class Submission {
  /** Requests that Slurm is known to be able to meet. */
  readonly #tested = new Set<string>()
  #answered = false

  /** The id that Slurm gives it. Throws `E_SLURM_REFUSED`, or `E_SLURM_COMMAND` where Slurm does not answer. */
  async submit(plan: SlurmPlan, signal: AbortSignal, note: (text: string) => void): Promise<string> {
    signal.throwIfAborted()
    const doubt = await this.#test(plan)
    let told = false
    for (const until = performance.now() + AWAY_MS; ; ) {
      signal.throwIfAborted()
      const answer = await slurmCommand(plan.argv, plan.script)
      const id = answer.code === 0 ? parseSubmitted(answer.stdout) : undefined
      if (id !== undefined) {
        this.#answered = true
        if (doubt !== undefined) await refuseHopeless(id, doubt)
        return id
      }
      const why = said(answer)
      if (!unanswered(answer) || !this.#answered || performance.now() > until)
        throw refused(doubt === undefined ? why : `${doubt}; ${why}`)
      if (!told) note(`its job waits for Slurm, which does not answer: ${why}`)
      told = true
      await pause(AGAIN_MS, undefined, { signal })
      // It may have been taken all the same.
      const taken = await idOf(optionIn(plan.script, 'job-name'), optionIn(plan.script, 'comment')).catch(
        () => undefined,
      )
      if (taken !== undefined) return taken
    }
  }

  /**
   * Whether the request can ever be met is asked once for each kind of it: else it would wait in the queue for ever. Gives
   * Slurm's word against it where that may only be because nodes are away.
   */
  async #test(plan: SlurmPlan): Promise<string | undefined> {
    const kind = plan.script.replace(/^#SBATCH --(output|array|comment|job-name)=.*\n/gm, '').replace(/^exec .*/m, '')
    if (this.#tested.has(kind)) return undefined
    const answer = await slurmCommand([...plan.argv, '--test-only'], plan.script)
    if (answer.code === 0) {
      this.#answered = true
      this.#tested.add(kind)
    } else if (!unanswered(answer) && !passing.test(answer.stderr)) {
      const why = said(answer)
      if (!/node configuration is not available/i.test(why)) throw refused(why)
      const nodes = await slurmCommand(['sinfo', '-h', '-N', '-o', '%t'])
      if (!someAway(nodes.stdout)) throw refused(why)
      this.#answered = true
      return why
    }
    return undefined
  }
}

/** What may pass: a request that cannot be met now, but may be later. */
const passing = /not available \(down|Resource temporarily/i

/** Of a job that no node may be good enough for, once Slurm says so itself. */
async function refuseHopeless(id: string, doubt: string): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    await pause(LOOK_MS)
    const row = await rowOf(id)
    if (row?.state !== 'PENDING') return
    if (cannotStart(row.reason)) {
      await slurmCommand(['scancel', id])
      throw refused(`${doubt} (${row.reason})`)
    }
    if (!/^(None|Priority)?$/.test(row.reason)) return
  }
}

/** Of the job with this comment, where Slurm has one. Throws where it does not answer. */
export async function idOf(name: string, comment: string): Promise<string | undefined> {
  const answer = await slurmCommand(['squeue', '-h', '-t', 'all', `--name=${name}`, '-O', 'ArrayJobID:|,Comment:|'])
  if (answer.code !== 0) throw refused(said(answer))
  return parseComments(answer.stdout).get(comment)
}

/** Why Slurm did not take a job. */
export const refused = (why: string): GangflowError =>
  /configuration source|Unable to contact|SLURM_CONF/.test(why)
    ? new GangflowError({
        code: 'E_SLURM_COMMAND',
        what: `Slurm does not answer here: ${why}`,
        fix: "run gangflow on a machine of the cluster, such as its login node, or set SLURM_CONF to the cluster's slurm.conf; where it has answered before, `scontrol ping` tells whether its controller is back",
      })
    : new GangflowError({
        code: 'E_SLURM_REFUSED',
        what: `Slurm does not take the job: ${why}`,
        fix: '`sinfo` shows what the cluster has; `gangflow run … --dry-run` shows what is asked for',
      })

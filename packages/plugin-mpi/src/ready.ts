import { basename } from 'node:path'
import { GangflowError } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import { daemonOf, nameOf } from './implementation.js'
import type { LaunchPlan, PlanInput } from './launch-plan.js'
import type { MemberFacts } from './members.js'

const interpreters = /^(?:python[\d.]*|bash|dash|sh|node|perl|ruby|julia|Rscript)$/

/** The file that an interpreter is to run; undefined where the program is none, or runs no file. */
export function scriptOf([program, ...args]: readonly string[]): string | undefined {
  if (!interpreters.test(basename(program!))) return undefined
  // mpi4py takes a script as Python does.
  const rest = args[0] === '-m' && /^mpi4py(?:\.\w+)?$/.test(args[1] ?? '') ? args.slice(2) : args
  return rest[0] === undefined || rest[0].startsWith('-') ? undefined : rest[0]
}

/** Throws for what a member lacks, before anything is launched; names all who lack it. */
export function checkMembers(
  gang: GangContext,
  { implementation, bin, settings }: PlanInput,
  { cwd, world }: LaunchPlan,
  facts: readonly MemberFacts[],
): void {
  const used = new Set(
    world.lines.filter(({ ranks }) => ranks > 0).flatMap(({ members }) => members.map(({ node }) => node)),
  )
  const lacking = (has: (facts: MemberFacts) => boolean) => facts.filter((one) => used.has(one.node) && !has(one))
  const error = (nodes: readonly MemberFacts[], told: { code: string; what: string; fix: string }) => {
    const { node } = nodes[0]!
    return new GangflowError({ ...told, step: gang.step, node, host: gang.roster.entries[node]!.host })
  }
  const where = (nodes: readonly MemberFacts[]) =>
    nodes.map(({ node }) => `node ${node} (${gang.roster.entries[node]!.host})`).join(', ')

  const unequipped = world.lines.length > 1 ? lacking(({ daemon }) => daemon) : []
  if (unequipped.length > 0)
    throw error(unequipped, {
      code: 'E_MPI_MISSING',
      what: `there is no ${bin}/${daemonOf(implementation)} on ${where(unequipped)}`,
      fix: `install ${nameOf(implementation)} there at the same path, or name another installation by \`home\``,
    })
  const homeless = lacking((one) => one.cwd)
  if (homeless.length > 0)
    throw error(homeless, {
      code: 'E_MPI_CWD',
      what: `the working directory ${cwd} does not exist on ${where(homeless)}`,
      fix: 'make it there, or give a `cwd` that every member has; default is the folder of the flow',
    })
  const [program] = settings.program
  const script = scriptOf(settings.program)
  for (const [name, has] of [
    [program, (one: MemberFacts) => one.program !== ''],
    [script, (one: MemberFacts) => one.script],
  ] as const) {
    const without = name === undefined ? [] : lacking(has)
    if (without.length === 0) continue
    const control = facts.find(({ node }) => node === gang.nodeIndex)!
    if (!has(control))
      throw error(without, {
        code: 'E_MPI_PROGRAM',
        what: `there is no '${name}' ${without.length < used.size ? `on ${where(without)}` : `in ${cwd} or on PATH`}`,
        fix: 'give its path relative to `cwd` (default: the folder of the flow), or a program that is on PATH',
      })
    throw error(without, {
      code: 'E_MPI_BROADCAST',
      what: `'${name}' is on the control, but not on ${where(without)}`,
      fix: `broadcast it first: await current.mpi.broadcastFile('${name}')`,
    })
  }
}

import prettyMs from 'pretty-ms'
import type { Run } from '../../client/run.js'
import type { RunStatus } from '../../datastore/records.js'
import { exitCodes } from '../../errors/exit-codes.js'
import type { CommandModule } from '../commands.js'
import { openClient } from '../open-client.js'
import { dateTime, type Style, styleOf } from '../style.js'
import { table } from '../table.js'

/** `gangflow runs [FLOW]`: newest first. */
export const command: CommandModule['command'] = async (args) => {
  const client = openClient(args)
  const flows = typeof args['flow'] === 'string' ? [args['flow']] : await client.flows()
  const limit = Number(args['limit'])
  const filter = {
    limit,
    ...(typeof args['status'] === 'string' && { status: args['status'] as RunStatus }),
    ...(typeof args['tag'] === 'string' && { tag: args['tag'] }),
  }
  const runs = (await Promise.all(flows.map((flow) => client.runs(flow, filter))))
    .flat()
    .sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime())
    .slice(0, limit)
  if (args['json'] === true) console.log(JSON.stringify(runs.map(facts), null, 2))
  else if (runs.length === 0) console.log(`no runs in ${client.datastore.location}`)
  else {
    const style = styleOf(process.stdout, args)
    const rows = runs.map((run) => [
      run.pathspec,
      standing(run, style),
      dateTime(run.startedAt.getTime()),
      run.endedAt === undefined ? '' : prettyMs(run.endedAt.getTime() - run.startedAt.getTime()),
      run.user,
      run.tags.join(' '),
    ])
    console.log(table(['run', 'status', 'started', 'took', 'user', 'tags'], rows, style))
  }
  return exitCodes.ok
}

const facts = (run: Run) => ({
  flow: run.flow,
  run: run.id,
  status: run.status,
  elsewhere: run.elsewhere,
  attachable: run.attachable,
  startedAt: run.startedAt.toISOString(),
  endedAt: run.endedAt?.toISOString(),
  user: run.user,
  host: run.host,
  backend: run.backend,
  tags: run.tags,
  origin: run.origin,
  failed: run.failed,
})

/** Of a run on another host nobody here can tell whether it still runs: what is known is said. */
function standing(run: Run, style: Style): string {
  const { elsewhere, status } = run
  if (elsewhere === undefined) {
    const taken = status === 'lost' && run.attachable ? '; gangflow attach takes it up' : ''
    return coloured(status, style) + taken
  }
  return `${coloured(status, style)} on ${elsewhere.host}, last seen ${dateTime(elsewhere.lastSeenAt.getTime())}`
}

function coloured(status: RunStatus, style: Style): string {
  return {
    done: style.green,
    failed: style.red,
    lost: style.red,
    cancelled: style.yellow,
    running: style.cyan,
    detached: style.cyan,
  }[status](status)
}

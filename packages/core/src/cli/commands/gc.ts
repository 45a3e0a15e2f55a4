import { sweepRunDirectories } from '../../body/run-directory.js'
import { collectGarbage } from '../../datastore/gc/collect.js'
import { exitCodes } from '../../errors/exit-codes.js'
import type { CommandModule } from '../commands.js'
import { openClient } from '../open-client.js'

/** `gangflow gc --keep N`. */
export const command: CommandModule['command'] = async (args) => {
  const { datastore } = openClient(args)
  const dryRun = args['dryRun'] === true
  const report = await collectGarbage(datastore, {
    keep: Number(args['keep']),
    dryRun,
    ...(typeof args['flow'] === 'string' && { flow: args['flow'] }),
  })
  // What launchers that were killed have left beside their datastore.
  if (!dryRun) await sweepRunDirectories(process.env, true)
  if (args['json'] === true) console.log(JSON.stringify(report, null, 2))
  else {
    for (const { flow, run } of report.runs) console.log(`${dryRun ? 'would delete' : 'deleted'} ${flow}/${run}`)
    const size = `${(report.bytes / 1e6).toFixed(1)} MB`
    console.log(`${dryRun ? 'would delete' : 'deleted'} ${report.runs.length} runs, ${report.blobs} blobs (${size})`)
  }
  return exitCodes.ok
}

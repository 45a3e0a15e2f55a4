import type { Discovered, Surroundings } from './contract.js'
import { Variables } from './variables.js'

/**
 * A node of a multi-node parallel job of AWS Batch. The main node's address is told to the others only, and nobody is told
 * of them. See docs.aws.amazon.com/batch/latest/userguide/mnp-env-vars.html.
 */
export function discoverAwsBatch(surroundings: Surroundings): Discovered {
  const about = new Variables('AWS Batch', surroundings)
  const [job, node] = about.need('AWS_BATCH_JOB_ID').split('#')
  const size = about.needWhole('AWS_BATCH_JOB_NUM_NODES')
  about.need('AWS_BATCH_JOB_NODE_INDEX')
  const index = about.index('AWS_BATCH_JOB_NODE_INDEX', size)!
  const main = about.index('AWS_BATCH_JOB_MAIN_NODE_INDEX', size) ?? 0
  if (node !== undefined && node !== String(index))
    about.contradiction(`AWS_BATCH_JOB_ID ends with #${node}, but AWS_BATCH_JOB_NODE_INDEX is ${index}`)
  const name = 'AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS'
  const host = index === main ? undefined : about.need(name)
  return {
    engine: 'aws-batch',
    job: job!,
    // Counted from 1.
    restarts: Math.max(0, (about.whole('AWS_BATCH_JOB_ATTEMPT') ?? 1) - 1),
    size,
    index,
    task: 0,
    main: { index: main, ...(host === undefined ? {} : { host }) },
  }
}

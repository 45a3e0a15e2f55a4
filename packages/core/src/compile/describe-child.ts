import { readFileSync, writeSync } from 'node:fs'
import type { FlowDescription } from '../flow/description.js'
import type { FlowClass } from '../flow/invocation.js'
import { type DescribeReply, type DescribeRequest, type LoadTrace, replyFd } from './describe-protocol.js'
import { loadError, loadFlow } from './load-flow.js'
import { watchLoad } from './load-trace.js'

export type Describe = (flowClass: FlowClass, file: string) => FlowDescription | Promise<FlowDescription>

/** The describe process: reads its request, loads the bundle, describes the flow, replies once and exits. */
export async function serveDescribe(describe: Describe): Promise<never> {
  const request = JSON.parse(readFileSync(0, 'utf8')) as DescribeRequest
  const fail = (thrown: unknown) => finish({ protocol: 1, error: loadError(thrown, request.file).toJSON() })
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', fail)
  const watch = watchLoad()
  let trace: LoadTrace
  try {
    const description = await describe(await loadFlow(request.bundle, request.file), request.file)
    trace = watch.end()
    return finish({ protocol: 1, description, trace })
  } catch (thrown) {
    watch.end()
    return fail(thrown)
  }
}

/** The reply is written whole before the exit, which does not wait for what the person's module left running. */
function finish(reply: DescribeReply): never {
  const line = Buffer.from(`${JSON.stringify(reply)}\n`)
  for (let sent = 0; sent < line.length; ) {
    try {
      sent += writeSync(replyFd, line, sent)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
  process.exit(0)
}

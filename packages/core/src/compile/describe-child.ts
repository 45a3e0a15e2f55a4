import { readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeFlow } from '../flow/describe.js'
import { type DescribeReply, type DescribeRequest, replyFd } from './describe-protocol.js'
import { loadError, loadFlow } from './load-flow.js'
import { watchLoad } from './load-trace.js'

/** The describe process: reads its request, loads the bundle, describes the flow, replies once and exits. */
export async function serveDescribe(): Promise<never> {
  const request = JSON.parse(readFileSync(0, 'utf8')) as DescribeRequest
  const fail = (thrown: unknown) => finish({ protocol: 1, error: loadError(thrown, request.file).toJSON() })
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', fail)
  const watch = watchLoad(coverOf(request))
  try {
    const { bundle, file } = request
    const description = describeFlow(await loadFlow(bundle, file), { file, loaded: bundle })
    return finish({ protocol: 1, description, trace: watch.end() })
  } catch (thrown) {
    return fail(thrown)
  }
}

/** The person's own source, the bundle made of it, and core's own build: all of them are part of the key. */
function coverOf({ bundle, sources }: DescribeRequest): (path: string) => boolean {
  const covered = new Set([bundle, `${bundle}.map`, ...sources])
  const dist = dirname(fileURLToPath(import.meta.url))
  return (path) => covered.has(path) || dirname(path) === dist
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

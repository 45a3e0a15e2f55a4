import { connect } from 'node:http2'
import { current, FlowSpec, type Inputs, parameter, retry, step } from '@gangflow/core'
import { ray } from '@gangflow/plugin-ray'
import { hangAndSignal } from './faults.js'

/** Its first attempt loses a raylet, the second a `ray start`; the third, straight after it, does what people do with Ray. */
export default class OnRay extends FlowSpec {
  readonly digits = parameter.string()
  readonly mark = parameter.string()
  readonly seen = parameter.string()
  out!: Record<string, unknown>

  @step start() {
    this.next(this.work, { numParallel: 2 })
  }

  @retry({ times: 2, delay: 0 })
  @ray({ dashboard: true, resources: { fast: 2 } })
  @step
  async work() {
    const lost = ['raylet', 'start'][current.parallel.attempt]
    if (lost) await hangAndSignal(lost, 'KILL', 1)
    const nodes = await current.ray.nodes()
    const work = await current.ray.run({
      entrypoint: 'work.py',
      args: [this.digits, this.mark],
      runtimeEnv: { env_vars: { OF_THE_JOB: 'of run' } },
    })
    const killed = await current.ray.exec(['sh', '-c', 'kill -9 $$'], { check: false })
    const failing = await current.ray
      .exec(['python', '-c', 'import os; os._exit(9)'])
      .catch((error: { code: string; message: string }) => ({ code: error.code, message: error.message }))
    // The test makes the file when it has seen the job's line: it comes live, or never.
    const job = await current.ray.submit({
      entrypoint: `python job.py ${this.seen}`,
      runtimeEnv: { working_dir: 'job', env_vars: { OF_THE_JOB: 'of submit' } },
      check: false,
    })
    const plain = await current.ray.submit({ entrypoint: 'test -f flow.ts' })
    const trained = await current.ray.run({
      entrypoint: 'train.py',
      args: ['--data', this.digits, '--storage', current.ray.storagePath, '--epochs', 4, '--lose'],
    })
    const { submissionId: _, ...ended } = job
    this.out = {
      startedMs: current.ray.startedMs,
      nodes: nodes.map(({ node, alive, isHead, resources }) => ({ node, alive, isHead, fast: resources['fast'] })),
      work: work.stdout,
      failing,
      killed: killed.signal,
      job: ended,
      plain: plain.status,
      trained: trained.stdout,
      withoutToken: await statusWithoutToken(current.ray.address),
    }
    this.next(this.join)
  }

  @step join(inputs: Inputs<OnRay, 'work'>) {
    this.out = inputs.control.out
    this.next(this.end)
  }

  @step end() {}
}

/** gRPC's status for who has no token: 16 is UNAUTHENTICATED. */
function statusWithoutToken(address: string): Promise<string> {
  return new Promise((resolve) => {
    const session = connect(`http://${address}`)
    const request = session.request({
      ':method': 'POST',
      ':path': '/ray.rpc.NodeInfoGcsService/GetAllNodeInfo',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const told = (headers: Readonly<Record<string, unknown>>) => {
      if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']))
    }
    request
      .on('response', told)
      .on('trailers', told)
      .on('data', () => {})
    request.on('close', () => session.close())
    request.end(Buffer.alloc(5))
  })
}

import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { dask } from '@gangflow/plugin-dask'

const hang = `import time
from distributed import Client
with Client() as client:
    client.submit(time.sleep, 3600, workers=['node1'], allow_other_workers=False).result()`
const kill = 'kill -9 $(pgrep -f -- "-m dask worker $1 .*--name node1 ")'

/** Dask workers, timed on the machine's monotonic clock; with BENCH_FAULT one is killed while a client waits for it. */
export default class Dask extends FlowSpec {
  readonly nodes = parameter.number({ default: 2 })

  @step start() {
    this.next(this.work, { numParallel: this.nodes })
  }
  @dask({ threads: 1 })
  @step
  async work() {
    console.log(`ready after ${current.dask.startedMs} ms at ${process.hrtime.bigint()}`)
    if (process.env['BENCH_FAULT']) {
      const argv = [process.env['GANGFLOW_PYTHON']!, '-c', hang]
      const waiting = current.parallel.exec([0], { argv, env: current.dask.env })
      await new Promise((resolve) => setTimeout(resolve, 5000))
      console.log(`killed at ${process.hrtime.bigint()}`)
      await current.parallel.exec([1], ['sh', '-c', kill, 'sh', current.dask.address])
      await waiting
    }
    console.log(`left at ${process.hrtime.bigint()}`)
    this.next(this.join)
  }
  @step join(_inputs: Inputs<Dask>) {
    this.next(this.end)
  }
  @step end() {}
}

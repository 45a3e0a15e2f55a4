import { FlowSpec, parallel, retry, step } from '@gangflow/core'

/** Steps that hang, to be tried again: `KIND` in the environment says which, and `pause` fails to wait for long. */
export default class Retried extends FlowSpec {
  kind = process.env['KIND'] ?? 'task'

  @step start() {
    this.next({ task: this.task, gang: this.split, pause: this.pause }, { condition: 'kind' })
  }

  @retry({ times: 5, delay: '10m' })
  @step
  async task() {
    await hang()
    this.next(this.end)
  }

  @step split() {
    this.next(this.member, { numParallel: 2 })
  }

  @retry({ times: 5, delay: '10m' })
  @parallel()
  @step
  async member() {
    await hang()
    this.next(this.join)
  }

  @retry({ times: 5, delay: '10m' })
  @step
  pause() {
    if (this.kind === 'pause') throw new Error('later')
    this.next(this.end)
  }

  @step join(_inputs: unknown) {
    this.next(this.end)
  }

  @step end() {}
}

async function hang(): Promise<void> {
  console.log('hanging')
  await new Promise((resolve) => setTimeout(resolve, 600_000))
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { run } from '@gangflow/core'
import { describe, expect, it } from 'vitest'
import { collect, flow, ofType, temporary } from './support.js'

const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname

/** The exit code of the command, for a flow whose step ends so. */
async function exitOf(where: string, ends: string, cancel = false): Promise<number | null> {
  const datastore = temporary()
  const argv = ['run', flow('kinds'), '--datastore', datastore, '--where', where, '--ends', ends]
  const child = spawn(process.execPath, [cli, ...argv, '--diary', join(datastore, 'diary')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child.stdout.on('data', (data: Buffer) => {
    if (cancel && String(data).includes('attempt 0')) child.kill('SIGINT')
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}

describe('the exit code tells why a run failed', () => {
  it.each([
    ['plain', 'user', 1],
    ['plain', 'infrastructure', 3],
    ['plain', 'timeout', 4],
    ['plain', 'preempted', 5],
    ['gang', 'user', 1],
    ['gang', 'infrastructure', 3],
    ['gang', 'timeout', 4],
    ['gang', 'preempted', 5],
  ])('%s: %s is %i', async (where, ends, code) => {
    expect(await exitOf(where, ends)).toBe(code)
  })

  it('cancelled is 130', async () => {
    expect(await exitOf('plain', 'hangs', true)).toBe(130)
  })
})

describe('retries are counted by their cause', () => {
  const attempts = async (ends: string) => {
    const datastore = temporary()
    const parameters = { ends, where: 'tried', diary: join(datastore, 'diary') }
    const handle = run(flow('kinds'), { datastore, parameters })
    const events = await collect(handle)
    const causes = ofType(events, 'task-failed').map(({ verdict }) => verdict.cause)
    return { causes, status: (await handle.result).status }
  }

  it('none after an error of the step, where its budget is 0', async () => {
    expect(await attempts('user')).toEqual({ causes: ['user'], status: 'failed' })
  })

  it('as a dry run shows', async () => {
    const datastore = temporary()
    const parameters = { ends: '', where: 'tried', diary: join(datastore, 'diary') }
    const { plans } = await run(flow('kinds'), {
      datastore,
      parameters,
      dryRun: true,
      gangTimeouts: { join: '2m' },
    }).result
    const of = (step: string) => plans?.find((plan) => plan.step === step)
    expect(of('tried')).toMatchObject({
      retry: { times: 1, budgets: { user: 0, preempted: 2 }, delayMs: 10, backoff: 2 },
      timeoutMs: 4_000,
    })
    expect(of('gang')).toMatchObject({ gangTimeouts: { join: 120_000 } })
  })

  it('those of a budget of its own beside the common ones', async () => {
    const causes = ['preempted', 'infrastructure', 'preempted']
    expect(await attempts(causes.join(','))).toEqual({ causes, status: 'done' })
    const more = ['infrastructure', 'preempted', 'infrastructure']
    expect(await attempts(more.join(','))).toEqual({ causes: more, status: 'failed' })
  })
})

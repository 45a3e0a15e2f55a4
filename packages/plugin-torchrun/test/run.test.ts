import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { torchFamily } from '../src/family.js'
import { makeTorch } from '../src/namespace.js'
import { calling, fixtures } from './call.js'
import { LocalGang, listening } from './local-gang.js'

const python = 'python3'
const error = (settled: PromiseSettledResult<unknown> | undefined) => (settled as PromiseRejectedResult).reason

it('runs once for the gang: all calls settle with one result', async () => {
  await calling(
    { size: 3, options: { nprocPerNode: 2 } },
    { entrypoint: 'behave.py', args: ['*:nothing'], python },
    ({ settled, gang }) => {
      const [first, ...others] = settled.map((one) => (one as PromiseFulfilledResult<object>).value)
      for (const other of others) expect(other).toEqual(first)
      expect(first).toMatchObject({ launcher: 'direct', worldSize: 6 })
      expect((first as { ranks: object[] }).ranks.map((rank) => ({ ...rank, durationMs: 0 }))).toEqual(
        [0, 1, 2, 3, 4, 5].map((rank) => {
          return { rank, localRank: rank % 2, node: rank >> 1, host: 'here', exitCode: 0, signal: null, durationMs: 0 }
        }),
      )
      expect(gang.started).toHaveLength(6)
      expect(gang.collected.size).toBe(0)
    },
  )
})

it('names the rank that raised, with its traceback, not its victims', async () => {
  const args = ['3:raise', '0:reset', '1:reset']
  await calling({ size: 4 }, { entrypoint: 'behave.py', args, python }, ({ settled, gang }) => {
    const culprit = gang.failures.find(({ error }) => !error?.message.startsWith('lost connection'))
    expect(culprit).toMatchObject({
      kind: 'process',
      node: 3,
      rank: 3,
      process: 'rank3',
      exitCode: 1,
      memberId: 'm3',
      host: 'here',
    })
    expect(culprit!.error!.message).toBe('ValueError: bad batch')
    expect(culprit!.error!.stack).toMatch(/behave\.py", line \d+, in deep[\s\S]*ValueError: bad batch/)
    expect(culprit!.lastLines!.at(-1)).toBe('ValueError: bad batch')
    // The victims wait for the culprit's word, and the gang is ended by then.
    expect(gang.failures).toHaveLength(1)
    expect(error(settled[3])).toMatchObject({ code: 'E_TORCH_RANK', rank: 3, node: 3, step: 'train' })
    for (const node of [0, 1, 2]) expect(settled[node]!.status).toBe('rejected')
  })
})

it.each([
  ['exit7', { exitCode: 7, lastLines: ['leaving'] }],
  [
    'segfault',
    { signal: 'SIGSEGV', lastLines: expect.arrayContaining([expect.stringContaining('Segmentation fault')]) },
  ],
  ['kill', { signal: 'SIGKILL' }],
])('tells how a rank ended: %s', async (verb, facts) => {
  await calling({}, { entrypoint: 'behave.py', args: [`1:${verb}`], python }, ({ gang }) => {
    expect(gang.failures).toEqual([expect.objectContaining({ rank: 1, node: 1, ...facts })])
  })
})

it('ends a rank that ignores SIGTERM', async () => {
  await calling({}, { entrypoint: 'behave.py', args: ['0:stubborn', '1:then-exit3'], python }, async ({ gang }) => {
    expect(gang.failures[0]).toMatchObject({ rank: 1, exitCode: 3 })
    const { child } = gang.started.find(({ command }) => command.name === 'rank0')!
    if (child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once('exit', resolve))
    expect(child.signalCode).toBe('SIGKILL')
  })
})

it.each(['stdout', 'stderr'])('is not stopped by a flood of %s', async (stream) => {
  await calling({}, { entrypoint: 'behave.py', args: [`*:${stream}`], python }, ({ settled, gang }) => {
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    expect(gang.log('rank1').trimEnd().split('\n').at(-1)).toMatch(
      stream === 'stdout' ? /^line 009999 x+$/ : /^line 199999$/,
    )
  })
})

it.each([
  ['E_TORCH_PYTHON', { entrypoint: 'behave.py', python: 'no-such-python' }, /no-such-python/],
  ['E_TORCH_SCRIPT', { entrypoint: 'absent.py', python }, /fixtures\/absent\.py/],
  ['E_TORCH_OPTION', { entrypoint: 'behave.py', cwd: 'absent', python }, /absent/],
])('refuses with %s before anything starts', async (code, call, what) => {
  await calling({ size: 1 }, call, ({ settled, gang }) => {
    expect(error(settled[0])).toMatchObject({ code, what: expect.stringMatching(what) })
    expect(gang.started).toEqual([])
  })
})

it.each(['direct', 'torchrun', 'prefork'] as const)('says by name that torch is missing (%s)', async (launcher) => {
  // An isolated Python without site-packages has none, whatever this machine has.
  const call = { entrypoint: 'all_reduce.py', python: ['python3', '-I', '-S'], launcher }
  await calling({ size: 1 }, call, ({ settled, gang }) => {
    expect(error(settled[0])).toMatchObject({
      code: 'E_TORCH_MISSING',
      fix: expect.stringContaining('pip install torch'),
    })
    expect(gang.failures[0]!.error!.code).toBe('E_TORCH_MISSING')
  })
})

it('says who never called, when not all do', async () => {
  const gang = new LocalGang(2, fixtures)
  const about = { options: { startTimeout: 200 }, family: torchFamily, calls: 0, open: 0, prefork: undefined }
  const session = { gang: gang.member(0), ...about }
  const late = makeTorch(session).run({ entrypoint: 'behave.py', python })
  await expect(late).rejects.toMatchObject({ code: 'E_TORCH_START', what: expect.stringContaining('node 1') })
  gang.dispose()
})

it('refuses members that call differently', async () => {
  const call = (node: number) => ({ entrypoint: 'behave.py', nprocPerNode: node + 1, python })
  await calling({}, call, ({ settled, gang }) => {
    for (const one of settled) expect(error(one)).toMatchObject({ code: 'E_TORCH_MISMATCH' })
    expect(gang.started).toEqual([])
  })
})

it('ends ranks that outlast the timeout', async () => {
  await calling({ size: 1 }, { entrypoint: 'behave.py', python, timeout: '300ms' }, ({ settled, gang }) => {
    expect(error(settled[0])).toMatchObject({ code: 'E_TORCH_TIMEOUT' })
    expect(gang.started[0]!.child.signalCode).toBe('SIGTERM')
  })
})

it('draws a port again, once and for the whole gang, when the first is taken', async () => {
  const server = await listening()
  const taken = (server.address() as { port: number }).port
  await calling(
    { gang: (gang) => gang.ports.push(taken) },
    { entrypoint: 'listen.py', python },
    ({ settled, gang }) => {
      const [first, second] = settled.map((one) => (one as PromiseFulfilledResult<{ masterPort: number }>).value)
      expect(first).toEqual(second)
      expect(first!.masterPort).not.toBe(taken)
      expect(gang.failures).toEqual([])
    },
  )
  server.close()
})

it('names a fixed port that is taken', async () => {
  const server = await listening()
  const masterPort = (server.address() as { port: number }).port
  await calling({ options: { masterPort } }, { entrypoint: 'listen.py', python }, ({ settled, gang }) => {
    expect(error(settled[0])).toMatchObject({ code: 'E_TORCH_PORT', what: expect.stringContaining(String(masterPort)) })
    expect(gang.failures[0]).toMatchObject({ rank: 0, error: { code: 'E_TORCH_PORT' } })
  })
  server.close()
})

it('collects what ranks put into GANGFLOW_OUTPUT_DIR, and records what it performed with secrets masked', async () => {
  const call = { entrypoint: 'output.py', python, env: { API_TOKEN: 'hush', PLAIN: 'seen' } }
  await calling({ options: { nprocPerNode: 2, outputArtifact: 'files' } }, call, ({ gang, settled }) => {
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    expect([...gang.collected.keys()].sort()).toEqual(['0/files', '1/files'])
    expect(existsSync(`${gang.collected.get('1/files')}/rank3/rank3.txt`)).toBe(true)
    const record = JSON.stringify(gang.records.get('1/torch-1'))
    expect(record).toContain('"PLAIN":"seen"')
    expect(record).toContain('"API_TOKEN":"***"')
  })
})

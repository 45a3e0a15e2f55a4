import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { artifactSource } from '../../packages/core/src/datastore/artifacts/source.js'
import { readLog } from '../../packages/core/src/datastore/logs/read.js'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { keys } from '../../packages/core/src/datastore/records.js'
import { cleanUp, doneOf, gangFlow, processesOf, runFlowGang, startGang, verdictOf } from '../support/gang.js'

afterAll(cleanUp)

const plugin = (needs: string, setup = '') => `
import { defineStepDecorator } from '@gangflow/core/plugin'
const tool = defineStepDecorator({ name: 'tool', apiVersion: 1, needs: () => (${needs})${setup} } as any) as any`

describe('a gang of four', () => {
  it.each(['unix', 'ssh'] as const)(
    'has every primitive of current.parallel and of the plugins, over %s',
    async (transport) => {
      const file = gangFlow(`
    const node = p.nodeIndex
    await p.barrier('begin')
    const tensor = await p.broadcast({ of: node, x: new Float32Array([node, 2]) })
    const last = await p.broadcast('from ' + node, { from: 3 })
    const squares = await p.allGather(node * node)
    const bytes = await p.allGather(new Uint8Array([node]))
    if (node === 1) await p.kv.set('answer', { a: 42 })
    const answer = await p.kv.get('answer')
    const nothing = await p.kv.peek('nothing')
    const ran = node === 0 ? await p.exec('all', ['sh', '-c', 'echo out $GANGFLOW_NODE of $GANGFLOW_NUM_NODES; echo err >&2; exit $GANGFLOW_NODE']) : []
    const key = Buffer.from(await p.key('tool')).toString('hex')
    const other = Buffer.from(await p.key('other')).toString('hex')
    const port = (await p.reservePort('master')).port
    if (node === 0) { writeFileSync('data.bin', Buffer.alloc(3_000_000, 7)); await p.copy('data.bin', { to: 'sub/copied.bin' }) }
    await p.barrier()
    const copied = readFileSync('sub/copied.bin').length
    let heard = ''
    if (node === 0) for await (const s of p.listen('chat')) { s.write('hello '); s.end(await new Promise(r => s.once('data', r))); break }
    if (node === 3) { const s = await p.connect(0, 'chat'); s.write('from three'); for await (const c of s) heard += c; s.end() }
    p.progress({ share: node / 4 })
    writeFileSync(p.temp + '/result.txt', 'result ' + node)
    await p.collect('files', p.temp)
    await p.record('tool', { argv: ['tool', node] })
    await p.barrier('end')
    this.out = { node, numNodes: p.numNodes, isControl: p.isControl, mainIp: p.mainIp, epoch: p.epoch, attempt: p.attempt, roster: p.roster.entries.length,
      tensor: tensor.x, of: tensor.of, last, squares, bytes: bytes.map((b: any) => b[0]), answer, nothing, ran, key, other, port, copied, heard }`)
      const { gang, outcome } = await runFlowGang(file, { transport })
      const done = doneOf(outcome, gang)
      expect(done.nodes!.map(({ node, control, memberId }) => [node, control, memberId])).toEqual([
        [0, true, 'm0'],
        [1, false, 'm1'],
        [2, false, 'm2'],
        [3, false, 'm3'],
      ])
      const store = await openDatastore(join(gang.folder, '.gangflow'))
      // biome-ignore lint/suspicious/noExplicitAny: what the flow put there
      const outs = done.nodes!.map(({ artifacts }) => artifactSource(store, artifacts).read('out') as any)
      for (const [node, out] of outs.entries()) {
        expect(out).toMatchObject({
          node,
          numNodes: 4,
          isControl: node === 0,
          mainIp: '127.0.0.1',
          epoch: 1,
          attempt: 0,
          roster: 4,
          tensor: new Float32Array([0, 2]),
          of: 0,
          last: 'from 3',
          squares: [0, 1, 4, 9],
          bytes: [0, 1, 2, 3],
          answer: { a: 42 },
          copied: 3_000_000,
          key: outs[0].key,
          port: outs[0].port,
        })
        expect(out.nothing).toBeUndefined()
        expect(artifactSource(store, done.nodes![node]!.artifacts).read('files')).toEqual({
          'result.txt': Buffer.from(`result ${node}`),
        })
      }
      expect(outs[0].key).toHaveLength(64)
      expect(outs[0].other).not.toBe(outs[0].key)
      expect(outs[3].heard).toBe('hello from three')
      expect(outs[0].ran).toMatchObject(
        [0, 1, 2, 3].map((node) => ({
          node,
          exitCode: node,
          signal: null,
          stdout: `out ${node} of 4\n`,
          stderr: 'err\n',
        })),
      )
      const address = { flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }
      expect(await store.readRecord(keys.plan(address, 2, 'tool'))).toEqual({ argv: ['tool', 2] })
      const log: string[] = []
      for await (const line of readLog(store, address, { node: 2, process: 'sh' })) log.push(line.text)
      expect(log.sort()).toEqual(['err', 'out 2 of 4'])
      await store.close()
      expect(gang.states(3)).toEqual(['starting', 'joined', 'setup', 'running', 'done', 'gone'])
      expect(processesOf(gang.run)).toEqual([])
    },
  )

  it('runs the body on the control alone where a plugin wants that; the others carry what they were given', async () => {
    const file = gangFlow(
      `this.out = (await p.exec('all', ['hostname'])).length; console.log('body', p.nodeIndex)`,
      plugin(`{ body: 'control', executables: ['sh'], ports: ['main'] }`),
      '@tool()',
    )
    const { gang, outcome } = await runFlowGang(file)
    const done = doneOf(outcome, gang)
    expect(Object.keys(done.nodes![0]!.artifacts)).toEqual(['out'])
    expect(done.nodes!.slice(1).map(({ artifacts }) => artifacts)).toEqual([{}, {}, {}])
    expect(gang.text().filter((line) => line.includes('body body'))).toEqual(['0 body body 0'])
  })

  it('names a program that is on no PATH before a body starts', async () => {
    const file = gangFlow(`console.log('started')`, plugin(`{ executables: ['no-such-program'] }`), '@tool()')
    const { gang, outcome } = await runFlowGang(file)
    const verdict = verdictOf(outcome, gang)
    expect(verdict).toMatchObject({ code: 'E_GANG_EXECUTABLE', cause: 'user' })
    expect(verdict.summary).toMatch(/node \d \(here\) has no 'no-such-program' on its PATH/)
  })

  it('is all that a machine of two cores needs for eight members', async () => {
    const file = gangFlow(
      `console.log('sum', (await p.allGather(p.nodeIndex)).reduce((a: number, b: number) => a + b, 0))`,
    )
    const { gang, outcome } = await runFlowGang(file, { size: 8 })
    expect(doneOf(outcome, gang).nodes).toHaveLength(8)
    expect(gang.text().sort()).toEqual(Array.from({ length: 8 }, (_, node) => `${node} body sum 28`))
  })

  it('splits the GPUs of the machine, and refuses more than there are', async () => {
    const file = gangFlow(
      `console.log('gpus', process.env.CUDA_VISIBLE_DEVICES, p.roster.entries[p.nodeIndex].gpus.join())`,
    )
    const { gang } = await runFlowGang(file, { size: 2, gpus: ['0', '1', '2', '3'] })
    expect(gang.text().sort()).toEqual(['0 body gpus 0,1 0,1', '1 body gpus 2,3 2,3'])
    const greedy = gangFlow(
      `console.log('never')`,
      `import { resources } from '@gangflow/core'`,
      '@resources({ gpu: 2 })',
    )
    const { gang: refused, outcome } = await runFlowGang(greedy, { size: 2, gpus: ['0'] })
    const verdict = verdictOf(outcome, refused)
    expect(verdict).toMatchObject({ code: 'E_GANG_RESOURCES', cause: 'user' })
    expect(verdict.summary).toContain('asks for 2 GPUs on each of 2 members, here has 1')
  })
})

describe('a flood of output', () => {
  it('reaches each log whole and in order, the result has its end, a listener hears its beginning', async () => {
    const file = gangFlow(`
    const flood = ['python3', '-c', 'print("begin", flush=True)\\nfor i in range(80000): print(f"line {i:09}")']
    const proc = await p.start([p.nodeIndex], { name: 'flood', argv: flood })
    const heard: string[] = []
    proc.onLine(({ text }: any) => heard.push(text))
    const [result] = await proc.ended
    console.log(JSON.stringify({ first: heard[0], length: result.stdout.length, end: result.stdout.slice(-15) }))`)
    const { gang, outcome } = await runFlowGang(file)
    doneOf(outcome, gang)
    const said = gang.text().filter((line) => line.includes(' body '))
    expect(said.map((line) => JSON.parse(line.slice(line.indexOf('{'))))).toEqual(
      Array.from({ length: 4 }, () => ({ first: 'begin', length: 1 << 20, end: 'line 000079999\n' })),
    )
    const store = await openDatastore(join(gang.folder, '.gangflow'))
    const address = { flow: 'Gang', run: gang.run, step: 'multi', task: '2', attempt: 0 }
    for (const node of [0, 1, 2, 3]) {
      let next = -1
      const wrong: string[] = []
      for await (const { text } of readLog(store, address, { node, process: 'flood' })) {
        if (next >= 0 && text !== `line ${String(next).padStart(9, '0')}`) wrong.push(text)
        next += 1
      }
      expect(next).toBe(80_000)
      expect(wrong).toEqual([])
    }
    await store.close()
  })
})

describe('two gangs at once', () => {
  it('do not meet', async () => {
    const file = gangFlow(`
    const mine = current.run + '/' + current.task
    const all = await p.allGather(mine)
    await p.kv.set('run', mine)
    const key = Buffer.from(await p.key('k')).toString('hex')
    await sleep(300)
    console.log(JSON.stringify({ same: all.every((one: string) => one === mine), kv: (await p.kv.get('run')) === mine, key }))`)
    const gangs = await Promise.all([startGang(file), startGang(file)])
    const outcomes = await Promise.all(gangs.map((gang) => gang.outcome))
    for (const [index, outcome] of outcomes.entries()) doneOf(outcome, gangs[index]!)
    const said = gangs.map((gang) =>
      gang
        .text()
        .map((line) => JSON.parse(line.slice(line.indexOf('{'))) as { same: boolean; kv: boolean; key: string }),
    )
    for (const lines of said) for (const line of lines) expect(line).toMatchObject({ same: true, kv: true })
    expect(new Set(said.flat().map(({ key }) => key)).size).toBe(2)
  })
})

describe('the files of a gang', () => {
  it('are gone afterwards, and its secret was nowhere to be read', async () => {
    const file = gangFlow(`
    const env = readFileSync('/proc/self/environ', 'utf8') + readFileSync('/proc/' + process.ppid + '/environ', 'utf8')
    console.log('dir', p.temp)
    console.log('secret', /secret/i.test(env))`)
    const { gang, outcome } = await runFlowGang(file, { size: 2 })
    doneOf(outcome, gang)
    for (const line of gang.text()) {
      const [, temp] = /dir (.*)/.exec(line) ?? []
      if (temp) expect(() => readFileSync(temp)).toThrowError(/ENOENT/)
      else expect(line).toMatch(/secret false/)
    }
  })
})

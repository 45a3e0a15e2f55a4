import { randomBytes } from 'node:crypto'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { cleanUp, gangFlow, runFlowGang, slack, sleep, startGang } from '../support/gang.js'

afterAll(cleanUp)

function hostFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-host-')))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  return folder
}

describe('a gang whose hosts do not see the code', () => {
  it('runs in a copy of it, one for all members of a host', async () => {
    const deliverTo = hostFolder()
    const file = gangFlow(
      `console.log('cwd', process.cwd(), 'file', import.meta.url, 'has', readFileSync('words.txt', 'utf8'))
       await p.exec('all', ['cat', 'words.txt'])`,
    )
    writeFileSync(join(dirname(file), 'words.txt'), 'a few words')
    const { gang, outcome } = await runFlowGang(file, { deliverTo })
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ ok: true })
    const said = gang.text().filter((line) => line.includes('cwd'))
    const places = new Set(
      said.map((line) => / cwd (.*) file file:\/\/(.*)\/flow.ts has a few words$/.exec(line)?.slice(1).join()),
    )
    expect(said).toHaveLength(4)
    expect(places.size).toBe(1)
    expect([...places][0]).toContain(`${deliverTo}/gangflow/code/trees/`)
    const codes = gang.lines.flatMap(({ event }) => (event?.type === 'code' && event.whole ? [event] : []))
    expect(codes.map(({ phase, node }) => [phase, node]).sort()).toEqual([
      ['install', 0],
      ['install', 1],
      ['install', 2],
      ['install', 3],
      ['pack', undefined],
    ])
    // One of them fetched it for all.
    expect(codes.filter(({ phase, moved }) => phase === 'install' && moved > 0)).toHaveLength(1)
    const again = await runFlowGang(file, { deliverTo })
    const moved = again.gang.lines.flatMap(({ event }) => (event?.type === 'code' ? [event.moved] : []))
    expect(new Set(moved)).toEqual(new Set([0]))
  })

  it("fails with the person's own file and line", async () => {
    const deliverTo = hostFolder()
    const file = gangFlow(`if (p.nodeIndex === 1) throw new Error('of one')`)
    const { outcome } = await runFlowGang(file, { deliverTo })
    expect(outcome).toMatchObject({ ok: false, verdict: { first: { node: 1, error: { message: 'Error: of one' } } } })
    expect(JSON.stringify(outcome)).toContain(`${file}:12`)
  })

  it('gives the code to members of a later epoch too', async () => {
    const deliverTo = hostFolder()
    const file = gangFlow(
      `const agent = execFileSync('ps', ['-o', 'ppid=', '-p', String(process.ppid)], { encoding: 'utf8' }).trim()
       if (p.epoch === 1 && p.nodeIndex === 1) process.kill(Number(agent), 'SIGKILL')
       await p.barrier('met')
       console.log('epoch', p.epoch, process.cwd())`,
      '',
      '@parallel({ minNodes: 3, maxRestarts: 1 })',
    )
    const { gang, outcome } = await runFlowGang(file, { deliverTo })
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ ok: true, done: { epoch: 2 } })
    const said = gang.text().filter((line) => line.includes(`epoch 2 ${deliverTo}`))
    expect(said).toHaveLength(4)
  })

  it('says on which host the code cannot be kept', async () => {
    const deliverTo = hostFolder()
    writeFileSync(join(deliverTo, 'gangflow'), 'a file where the folder is to be')
    const { outcome } = await runFlowGang(gangFlow(''), { deliverTo })
    expect(outcome).toMatchObject({
      ok: false,
      verdict: {
        code: 'E_CODE_CACHE',
        cause: 'infrastructure',
        summary: expect.stringMatching(
          /^the flow's code could not be brought to here: .* on node [0-3] \(here\) of 4$/,
        ),
      },
    })
  })

  it.each(['pack', 'install'] as const)('ends at once by Ctrl-C while it is to %s', async (phase) => {
    const deliverTo = hostFolder()
    const file = gangFlow('')
    for (const name of ['a', 'b', 'c']) writeFileSync(join(dirname(file), name), randomBytes(40 << 20))
    const gang = await startGang(file, { deliverTo })
    const begun = () =>
      gang.lines.some(({ event }) =>
        phase === 'pack' ? event?.type === 'code' : event?.type === 'member' && event.state === 'joined',
      )
    while (!begun()) await sleep(5)
    const at = performance.now()
    gang.child.kill('SIGINT')
    const outcome = await gang.outcome
    expect(outcome).toMatchObject({ ok: false, verdict: { cause: 'cancelled' } })
    await gang.ended
    // KILL comes three seconds after TERM.
    expect(performance.now() - at).toBeLessThan(3000 * slack)
    expect(gang.lines.some(({ event }) => event?.type === 'code' && event.phase === 'install' && event.whole)).toBe(
      false,
    )
    // What was not finished is in nobody's way.
    if (phase === 'install') expect((await runFlowGang(file, { deliverTo })).outcome).toMatchObject({ ok: true })
  })

  it('starts nobody when the code is too large', async () => {
    const deliverTo = hostFolder()
    const file = gangFlow('')
    writeFileSync(join(dirname(file), 'large.bin'), Buffer.alloc(1 << 20))
    const { gang, outcome } = await runFlowGang(file, { deliverTo, package: { limit: '1MB' } })
    expect(outcome).toMatchObject({
      ok: false,
      verdict: { code: 'E_CODE_LIMIT', cause: 'user', summary: expect.stringContaining('large.bin 1.0 MB') },
    })
    expect(gang.states(0)).toEqual([])
  })
})

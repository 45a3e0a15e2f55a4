import { afterAll, describe, expect, it } from 'vitest'
import { cleanUp, doneOf, gangFlow, processesOf, runFlowGang, startGang, until, verdictOf } from '../../support/gang.js'

afterAll(cleanUp)

const said = (lines: string[]) =>
  lines.filter((line) => /RESULT/.test(line)).map((line) => line.replace(/^.*RESULT /, ''))

describe.each([undefined, 'ssh'] as const)('the remote shell of a gang over %s', (transport) => {
  const how = transport ? { transport } : {}

  it('runs what programs hand to the shim: streams, status, signal, names, options, a missing host', async () => {
    const flow = gangFlow(
      `
    if (p.nodeIndex === 1) {
      const shell = await p.shell()
      const seen: any[] = []
      shell.onChannel((one: any) => seen.push([one.node, one.command, one.state, one.exit?.code, one.exit?.signal]))
      const env = { ...process.env, ...shell.env }
      const run = (args: string[], input = '', program = shell.shim) => {
        const { status, signal, stdout, stderr } = spawnSync(program, args, { env, input, encoding: 'utf8' })
        console.log('RESULT ' + JSON.stringify([status, signal, stdout, stderr]))
      }
      run(['2', 'cat; echo node $GANGFLOW_NODE; echo err >&2; exit 3'], 'in ')
      run(['-x', '-q', '-o', 'BatchMode=yes', '-l', 'me', '-p', '22', 'me@m0', 'echo', '$GANGFLOW_NODE'])
      run(['-n', 'here', 'cat; echo $GANGFLOW_NODE'], 'not read')
      run(['3', 'kill -KILL $$'])
      run(['nobody', 'true'])
      run(['0', 'gangflow-shim 2 echo onwards \\\\$GANGFLOW_NODE'], '', 'gangflow-shim')
      run(['0', 'head -c 3000000 /dev/zero | tr "\\\\0" x | wc -c'])
      const many = spawnSync(shell.shim, ['0', 'cat'], { env, input: 'y'.repeat(5_000_000), maxBuffer: 1 << 26 })
      console.log('RESULT ' + many.stdout.length)
      await sleep(200)
      console.log('RESULT ' + JSON.stringify(seen.filter((one) => one[2] === 'ended').slice(0, 4)))
    }
    await p.barrier()`,
      `import { spawnSync } from 'node:child_process'`,
    )
    const { gang, outcome } = await runFlowGang(flow, how)
    doneOf(outcome, gang)
    const results = said(gang.text()).map((line) => JSON.parse(line))
    expect(results).toEqual([
      [3, null, 'in node 2\n', 'err\n'],
      [0, null, '0\n', ''],
      [0, null, '1\n', ''],
      [null, 'SIGKILL', '', ''],
      [255, null, '', expect.stringMatching(/no member of this gang is called 'nobody'/)],
      [0, null, 'onwards 2\n', ''],
      [0, null, '3000000\n', ''],
      5_000_000,
      [
        [2, expect.any(String), 'ended', 3, null],
        [0, 'echo $GANGFLOW_NODE', 'ended', 0, null],
        [1, expect.any(String), 'ended', 0, null],
        [3, 'kill -KILL $$', 'ended', null, 'SIGKILL'],
      ],
    ])
  })

  it('passes signals on, and ends the remote command with the shim', async () => {
    const flow = gangFlow(`
    if (p.isControl) {
      const shell = await p.shell()
      const env = { ...process.env, ...shell.env }
      const trapped = spawn(shell.shim, ['2', 'trap "echo trapped; exit 9" TERM; echo up; while :; do sleep 0.05; done'], { env })
      let text = ''
      trapped.stdout.on('data', (data) => { if (!text) setTimeout(() => trapped.kill('SIGTERM'), 50); text += data })
      const code = await new Promise((done) => trapped.once('close', done))
      console.log('RESULT ' + JSON.stringify([code, text]))
      const killed = spawn(shell.shim, ['3', 'exec sleep 4242'], { env, stdio: 'ignore' })
      const there = () => execFileSync(shell.shim, ['3', 'pgrep -c -x -f "sleep 4242" || true'], { env, encoding: 'utf8' }).trim()
      while (there() === '0') await sleep(20)
      killed.kill('SIGKILL')
      while (there() !== '0') await sleep(20)
      console.log('RESULT "gone"')
    }
    await p.barrier()`)
    const { gang, outcome } = await runFlowGang(flow, how)
    doneOf(outcome, gang)
    expect(said(gang.text()).map((line) => JSON.parse(line))).toEqual([[9, 'up\ntrapped\n'], 'gone'])
  })

  it('serves OpenSSH with files of its own, with no private key in any', async () => {
    const flow = gangFlow(
      `
    if (p.nodeIndex === 2) {
      const shell = await p.shell()
      const ssh = (host: string, command: string) => execFileSync('ssh', ['-F', shell.config, host, command], { encoding: 'utf8', env: { PATH: process.env.PATH } })
      console.log('RESULT ' + JSON.stringify(['0', 'm1', 'node-3'].map((host) => ssh(host, 'echo $GANGFLOW_NODE').trim())))
      writeFileSync('sent.txt', 'content')
      execFileSync('scp', ['-F', shell.config, 'sent.txt', 'm0:got.txt'])
      console.log('RESULT ' + JSON.stringify(readFileSync('got.txt', 'utf8')))
      console.log('RESULT ' + JSON.stringify(execFileSync('grep', ['-rlE', 'PRIVATE', dirname(shell.config)], { encoding: 'utf8' }).trim()))
    }
    await p.barrier()`
        .replace("execFileSync('grep'", "spawnSync('grep'")
        .replace(", { encoding: 'utf8' }).trim()))", ", { encoding: 'utf8' }).stdout))"),
      `import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'`,
    )
    const { gang, outcome } = await runFlowGang(flow, how)
    doneOf(outcome, gang)
    expect(said(gang.text()).map((line) => JSON.parse(line))).toEqual([['0', '1', '3'], 'content', ''])
  })
})

it('a verdict names what was started over SSH and killed by nobody of the gang', async () => {
  const flow = gangFlow(`
    if (p.isControl) {
      const shell = await p.shell()
      execFileSync(shell.shim, ['2', 'exec sh -c "sleep 0.2; kill -KILL $$"'], { env: { ...process.env, ...shell.env } })
    }
    await p.barrier()`)
  const { gang, outcome } = await runFlowGang(flow)
  const verdict = verdictOf(outcome, gang)
  // It and the exception that it caused lie within what clocks of two members can tell apart.
  expect([verdict.first, ...verdict.echoes]).toContainEqual(
    expect.objectContaining({
      node: 2,
      kind: 'process',
      signal: 'SIGKILL',
      process: expect.stringMatching(/sleep 0.2/),
    }),
  )
})

describe('a whole gang over SSH on one machine', () => {
  it('joins, calls collectives, starts commands, copies, streams, and ends', async () => {
    const flow = gangFlow(`
    const all = await p.allGather(p.nodeIndex * 10)
    const word = await p.broadcast(p.isControl ? 'word' : undefined)
    if (p.isControl) {
      writeFileSync('big.bin', Buffer.alloc(5_000_000, 7))
      const results = await p.exec('all', ['sh', '-c', 'echo $GANGFLOW_NODE'])
      console.log('RESULT ' + JSON.stringify(results.map((one: any) => one.stdout.trim())))
      await p.copy('big.bin', { to: 'copied.bin', nodes: [1] })
      const stream = await p.connect(3, 'talk')
      stream.write('hello')
      const back = await new Promise((done) => stream.once('data', done))
      console.log('RESULT ' + JSON.stringify(String(back)))
      stream.destroy()
    }
    if (p.nodeIndex === 3) for await (const stream of p.listen('talk')) {
      stream.once('data', (data: any) => stream.write(data + ' back'))
      break
    }
    await p.barrier()
    console.log('RESULT ' + JSON.stringify([all, word]))`)
    const { gang, outcome } = await runFlowGang(flow, { transport: 'ssh' })
    doneOf(outcome, gang)
    expect(said(gang.text()).sort()).toEqual(
      ['["0","1","2","3"]', '"hello back"', ...Array(4).fill('[[0,10,20,30],"word"]')].sort(),
    )
  })

  it('names the one that was killed, and leaves nothing', async () => {
    const flow = gangFlow(`
    if (p.nodeIndex === 2) process.kill(process.pid, 'SIGKILL')
    await p.barrier()`)
    const { gang, outcome } = await runFlowGang(flow, { transport: 'ssh' })
    const verdict = verdictOf(outcome, gang)
    expect(verdict.first).toMatchObject({ node: 2, signal: 'SIGKILL' })
    await until(() => processesOf(gang.run).length === 0, 'nothing is left')
  })

  it('ends itself when its launcher is killed', async () => {
    const gang = await startGang(gangFlow(`console.log('up'); await sleep(100_000)`), { transport: 'ssh' })
    await gang.line(/3 body up/)
    gang.child.kill('SIGKILL')
    await until(() => processesOf(gang.run).length === 0, 'nothing is left')
  })
})

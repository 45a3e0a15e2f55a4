import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openMesh } from '../../../packages/core/src/ssh/mesh.js'
import { alive, sleep, until } from '../../support/gang.js'
import { deriveOf, type TestMember, testMember } from '../../support/mesh.js'

let member: TestMember
beforeAll(async () => {
  member = await testMember('clients', 'm0')
})
afterAll(() => member.close())

interface Result {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program of OpenSSH or one that uses it. */
function run(argv: readonly string[], input?: Buffer | string, env: Record<string, string> = {}): Promise<Result> {
  const [program, ...args] = argv
  const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env['PATH']!, ...env } })
  const text = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.stderr += chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(input ?? '')
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, ...text })))
}
const ssh = (...args: string[]) => ['ssh', '-F', member.config, ...args]
const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('OpenSSH through the mesh', () => {
  it('runs a command: output, errors, exit status, input, environment, working directory', async () => {
    const result = await run(ssh('m0', 'cat; echo out; echo err >&2; echo $MEMBER; pwd; exit 7'), 'in\n')
    expect(result).toMatchObject({ code: 7, stdout: `in\nout\nm0\n${member.home}\n`, stderr: 'err\n' })
    expect((await run(ssh('-o', 'SetEnv=GREETING=hello', 'node-0', 'echo $GREETING'))).stdout).toBe('hello\n')
  })

  it('carries much both ways, and waits for a slow reader', async () => {
    const bytes = randomBytes(24 << 20)
    const child = spawn('ssh', ['-F', member.config, 'm0', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin.end(bytes)
    const hash = createHash('sha256')
    let got = 0
    for await (const chunk of child.stdout) {
      if (got === 0) await new Promise((resolve) => setTimeout(resolve, 300))
      got += (chunk as Buffer).length
      hash.update(chunk as Buffer)
    }
    expect(got).toBe(bytes.length)
    expect(hash.digest('hex')).toBe(sha(bytes))
  })

  it('loses nothing of either output to a reader that is slow', async () => {
    const command = `head -c 6000000 /dev/zero | tr '\\0' e >&2; head -c 5000000 /dev/zero`
    const child = spawn('ssh', ['-F', member.config, 'm0', command], { stdio: ['ignore', 'pipe', 'pipe'] })
    await sleep(500)
    const count = async (stream: NodeJS.ReadableStream) => {
      let got = 0
      for await (const chunk of stream) {
        if (got === 0) await sleep(300)
        got += (chunk as Buffer).length
      }
      return got
    }
    expect(await Promise.all([count(child.stdout), count(child.stderr)])).toEqual([5_000_000, 6_000_000])
    const own = openMesh({ memberId: 'm1', derive: deriveOf('clients') })
    const remote = await own.run(member.target, { command, env: {} }, { signal: AbortSignal.timeout(20_000) })
    await sleep(300)
    expect(await Promise.all([count(remote.stdout), count(remote.stderr)])).toEqual([5_000_000, 6_000_000])
    expect(await remote.exited).toEqual({ code: 0, signal: null })
    await own.close()
  })

  it('goes on over changes of its keys', async () => {
    const bytes = randomBytes(12 << 20)
    const result = await run(ssh('-o', 'RekeyLimit=1M', 'm0', 'tee copy | sha256sum'), bytes)
    expect(result.stdout.split(' ')[0]).toBe(sha(bytes))
    expect(sha(readFileSync(join(member.home, 'copy')))).toBe(sha(bytes))
    const back = await run(['sh', '-c', `ssh -o RekeyLimit=1M -F ${member.config} m0 cat copy | sha256sum`])
    expect(back.stdout.split(' ')[0]).toBe(sha(bytes))
  })

  it('tells a signal, and ends what it started when it is ended', async () => {
    expect((await run(ssh('m0', 'kill -TERM $$'))).code).toBe(255)
    const child = spawn('ssh', ['-F', member.config, 'm0', 'sh -c "echo $$; sleep 1000" & wait'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const pid = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
    expect(alive(pid)).toBe(true)
    child.kill('SIGKILL')
    await until(() => !alive(pid), 'the remote command ends with its channel')
  })

  it('ends a command whose reader has gone', async () => {
    const result = await run(['sh', '-c', `ssh -F ${member.config} m0 yes | head -1`])
    expect(result.stdout).toBe('y\n')
  })

  it('leaves a daemon that has let go of its streams, and waits for one that has not', async () => {
    const left = await run(ssh('m0', 'sleep 1000 </dev/null >/dev/null 2>&1 & echo $!'))
    expect(left.code).toBe(0)
    expect(alive(Number(left.stdout))).toBe(true)
    process.kill(Number(left.stdout))
    const began = performance.now()
    expect((await run(ssh('m0', '(sleep 0.4; echo late) & echo now'))).stdout).toBe('now\nlate\n')
    expect(performance.now() - began).toBeGreaterThan(300)
  })

  it('gives a terminal with its size, on which a person can type', async () => {
    const script = `stty size; tty >/dev/null && echo terminal; read word; echo "got $word"; exit 3`
    const child = spawn('ssh', ['-tt', '-F', member.config, 'm0', script], { stdio: ['pipe', 'pipe', 'pipe'] })
    child.stdin.write('typed\n')
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk))
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect(text).toMatch(/terminal\r\n/)
    expect(text).toMatch(/got typed\r\n/)
    expect(code).toBe(3)
  })

  it('copies files and folders by scp and sftp, empty, big, with their modes and times', async () => {
    const from = join(member.directory, 'from')
    mkdirSync(join(from, 'deep'), { recursive: true })
    const big = randomBytes(9 << 20)
    writeFileSync(join(from, 'big.bin'), big, { mode: 0o640 })
    writeFileSync(join(from, 'deep', 'empty'), '')
    writeFileSync(join(from, 'name with spaces'), 'x')
    symlinkSync('big.bin', join(from, 'link'))
    const there = await run(['scp', '-p', '-r', '-F', member.config, from, 'm0:to'])
    expect(there).toMatchObject({ code: 0 })
    expect(sha(readFileSync(join(member.home, 'to', 'big.bin')))).toBe(sha(big))
    expect(statSync(join(member.home, 'to', 'big.bin')).mode & 0o777).toBe(0o640)
    expect(readFileSync(join(member.home, 'to', 'name with spaces'), 'utf8')).toBe('x')
    const back = await run(['scp', '-F', member.config, 'm0:to/big.bin', join(member.directory, 'back.bin')])
    expect(back.code).toBe(0)
    expect(sha(readFileSync(join(member.directory, 'back.bin')))).toBe(sha(big))
    expect((await run(['scp', '-F', member.config, 'm0:nothing', '/dev/null'])).code).toBe(1)
    const batch = `mkdir made
put ${join(from, 'big.bin')} made/one
rename made/one made/two
ls -l made
chmod 600 made/two
get made/two ${join(member.directory, 'two')}
ln -s two made/three
rm made/two
rm made/three
rmdir made
`
    const result = await run(['sftp', '-q', '-b', '-', '-F', member.config, 'm0'], batch)
    expect(result.stderr).toBe('')
    expect(result.code).toBe(0)
    expect(result.stdout).toMatch(/-rw-r----- .* 9437184 .*two/)
    expect(sha(readFileSync(join(member.directory, 'two')))).toBe(sha(big))
  })

  it('serves rsync and pdsh', async () => {
    const from = join(member.directory, 'from')
    const shell = `ssh -F ${member.config}`
    const result = await run(['rsync', '-a', '-e', shell, `${from}/`, 'm0:synced/'])
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(sha(readFileSync(join(member.home, 'synced', 'big.bin')))).toBe(sha(readFileSync(join(from, 'big.bin'))))
    const again = await run(['rsync', '-ai', '-e', shell, `${from}/`, 'm0:synced/'])
    expect(again.stdout).toBe('')
    const pdsh = await run(['pdsh', '-S', '-w', 'm0,node-0', 'echo here; exit 5'], '', {
      PDSH_RCMD_TYPE: 'ssh',
      PDSH_SSH_ARGS_APPEND: `-F ${member.config}`,
    })
    expect(pdsh.stdout.split('\n').sort()).toEqual(['', 'm0: here', 'node-0: here'])
    expect(pdsh.code).toBe(5)
  })

  it('forwards TCP, and says where nobody listens', async () => {
    const server = createServer((socket) => socket.end('served'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const good = await run(ssh('-W', `127.0.0.1:${port}`, 'm0'))
    expect(good.stdout).toBe('served')
    server.close()
    const bad = await run(ssh('-W', '127.0.0.1:9', 'm0'))
    expect(bad.code).not.toBe(0)
  })
})

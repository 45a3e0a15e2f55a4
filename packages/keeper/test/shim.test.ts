import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { keeperBinary } from '../index.js'

const binary = keeperBinary()!
const folder = mkdtempSync(join(tmpdir(), 'gf-shim-'))
const path = join(folder, 'shim.sock')
let server: Server | undefined
afterEach(() => server?.close())
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const frame = (type: number, content: Uint8Array | string = '') => {
  const bytes = Buffer.from(content as Uint8Array)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length + 1)
  head[4] = type
  return Buffer.concat([head, bytes])
}

/** An agent that keeps the frames of the first connection and answers each by `answer`. */
async function agent(answer: (type: number, content: Buffer, socket: Socket) => void): Promise<[number, string][]> {
  const heard: [number, string][] = []
  server = createServer((socket) => {
    let held = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      while (held.length >= 5 && held.length >= 4 + held.readUInt32BE()) {
        const length = held.readUInt32BE()
        const [type, content] = [held[4]!, held.subarray(5, 4 + length)]
        heard.push([type, content.toString('latin1')])
        held = held.subarray(4 + length)
        answer(type, content, socket)
      }
    })
  })
  rmSync(path, { force: true })
  await new Promise<void>((resolve) => server!.listen(path, resolve))
  return heard
}

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

function shim(args: readonly string[], input: Buffer | string = '', env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(binary, ['shim', ...args], { env: { GANGFLOW_SHIM_SOCKET: path, ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })))
}

const bye = (type: number, _content: Buffer, socket: Socket) => {
  if (type === 3) socket.end(frame(18, Buffer.from([0])))
}

describe('the shim', () => {
  it.each([
    [['host', 'echo', 'a  b', 'c'], '\0host\0echo a  b c'],
    [['-x', '-q', '-T', '-p', '22', '-l', 'me', '-o', 'BatchMode=yes', 'host', 'cmd', '-x'], '\0host\0cmd -x'],
    [['-p22', '-oA=b', '-2', '-a', '-x', '-lme', 'me@host', 'cmd'], '\0host\0cmd'],
    [['host', '-l', 'me', 'cmd', '-l', 'x'], '\0host\0cmd -l x'],
    [['--', 'host', '--', '-cmd'], '\0host\0-cmd'],
    [['host'], '\x02host\0'],
    [['-s', 'host', 'sftp'], '\x01host\0sftp'],
  ])('understands %j', async (args, request) => {
    const heard = await agent(bye)
    expect((await shim(args)).code).toBe(0)
    expect(heard[0]).toEqual([1, request])
  })

  it('carries input and both outputs whole, in any pieces', async () => {
    const heard = await agent((type, content, socket) => {
      if (type === 2) socket.write(Buffer.concat([frame(16, content), frame(17, 'e')]))
      if (type === 3) {
        const last = Buffer.concat([frame(16), frame(16, Buffer.alloc(300_000, 'z')), frame(18, Buffer.from([9]))])
        // Byte by byte where it hurts: in the heads.
        for (let at = 0; at < 12; at += 1) socket.write(last.subarray(at, at + 1))
        socket.end(last.subarray(12))
      }
    })
    const input = Buffer.alloc(1_000_000, 'abcdefgh')
    const { code, stdout, stderr } = await shim(['host', 'cmd'], input)
    expect(code).toBe(9)
    expect(stdout.length).toBe(1_300_000)
    expect(stdout.startsWith(input.toString())).toBe(true)
    expect(stderr).toMatch(/^e+$/)
    expect(heard.filter(([type]) => type === 3).length).toBe(1)
  })

  it('reads no input with -n, nor where there is none', async () => {
    const heard = await agent(bye)
    await shim(['-n', 'host', 'cmd'], 'not read')
    expect(heard.map(([type]) => type)).toEqual([1, 3])
    const closed = await agent(bye)
    const child = spawn('sh', ['-c', `exec ${binary} shim host cmd <&- >&-`], { env: { GANGFLOW_SHIM_SOCKET: path } })
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
    expect(closed.map(([type]) => type)).toContain(3)
  })

  it('ends as the command did: by a signal, by an error, by the loss of its agent', async () => {
    await agent((type, _content, socket) => void (type === 3 && socket.end(frame(19, 'SEGV'))))
    expect(await shim(['host', 'cmd'])).toMatchObject({ code: null, signal: 'SIGSEGV' })
    server!.close()
    await agent((type, _content, socket) => void (type === 3 && socket.end(frame(20, 'no such host'))))
    expect(await shim(['host', 'cmd'])).toMatchObject({ code: 255, stderr: 'gangflow: no such host\n' })
    server!.close()
    await agent((type, _content, socket) => void (type === 3 && socket.destroy()))
    expect(await shim(['host', 'cmd'])).toMatchObject({
      code: 255,
      stderr: expect.stringMatching(/closed the connection/),
    })
    server!.close()
    rmSync(path, { force: true })
    expect(await shim(['host', 'cmd'])).toMatchObject({ code: 255, stderr: expect.stringMatching(/No such file/) })
    expect(await shim(['host', 'cmd'], '', { GANGFLOW_SHIM_SOCKET: '' })).toMatchObject({ code: 255 })
    expect((await shim([])).stderr).toMatch(/usage/)
  })

  it('hands signals on', async () => {
    const heard = await agent((type, content, socket) => {
      if (type === 1) socket.write(frame(16, 'up'))
      if (type === 4 && content.toString() === 'TERM') socket.end(frame(18, Buffer.from([7])))
    })
    const child = spawn(binary, ['shim', '-n', 'host', 'cmd'], { env: { GANGFLOW_SHIM_SOCKET: path } })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGUSR1')
    child.kill('SIGTERM')
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(7)
    expect(
      heard
        .filter(([type]) => type === 4)
        .map(([, name]) => name)
        .sort(),
    ).toEqual(['TERM', 'USR1'])
  })

  it('goes when nobody reads its output', async () => {
    await agent((type, _content, socket) => {
      if (type === 1) setInterval(() => socket.destroyed || socket.write(frame(16, 'y\n')), 5).unref()
    })
    const { status, stdout } = await new Promise<{ status: unknown; stdout: string }>((resolve) => {
      const child = spawn('sh', ['-c', `${binary} shim -n host yes | head -1`], {
        env: { GANGFLOW_SHIM_SOCKET: path, PATH: process.env['PATH']! },
      })
      let stdout = ''
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk))
      child.once('close', (status) => resolve({ status, stdout }))
    })
    expect([status, stdout]).toEqual([0, 'y\n'])
  })

  it('finds its agent beside it, whatever the environment says', async () => {
    mkdirSync(join(folder, 'bin'), { recursive: true })
    for (const name of ['shim', 'gangflow-shim', 'ssh', 'rsh']) {
      symlinkSync(binary, join(folder, 'bin', name))
      const heard = await agent(bye)
      const child = spawn(join(folder, 'bin', name), ['-n', 'host', 'cmd'], { env: {} })
      expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
      expect(heard[0]).toEqual([1, '\0host\0cmd'])
      server!.close()
    }
  })
})

describe('attach', () => {
  it('gives a command three streams of its own, and its own end', async () => {
    const streams = new Map<string, { socket: Socket; text: string }>()
    server = createServer({ allowHalfOpen: true }, (socket) => {
      let name = ''
      socket.on('data', (chunk: Buffer) => {
        const text = chunk.toString()
        if (name) streams.get(name)!.text += text
        else {
          name = text.slice(0, text.indexOf('\n'))
          streams.set(name, { socket, text: text.slice(name.length + 1) })
          if (name === 'word 0') socket.end('typed\n')
        }
      })
    })
    rmSync(path, { force: true })
    await new Promise<void>((resolve) => server!.listen(path, resolve))
    const child = spawn(binary, ['attach', path, 'word', 'sh', '-c', 'read x; echo out $x; echo err >&2; exit 6'])
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(6)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([...streams].map(([name, { text }]) => [name, text]).sort()).toEqual([
      ['word 0', ''],
      ['word 1', 'out typed\n'],
      ['word 2', 'err\n'],
    ])
  })

  it('says on its own stderr that nobody is there, and which program there is not', async () => {
    rmSync(path, { force: true })
    const { status, stderr } = spawnSync(binary, ['attach', path, 'word', 'true'], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([126, expect.stringMatching(/No such file/)])
    expect(spawnSync(binary, ['attach', path]).status).toBe(64)
  })
})

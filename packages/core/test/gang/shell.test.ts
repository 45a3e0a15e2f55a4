import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeRequest, encodeFrame, encodeRequest, FrameCutter } from '../../src/gang/shell/frames.js'
import { findNamed } from '../../src/gang/shell/names.js'
import { serveAgent } from '../../src/ssh/agent-protocol.js'
import { keyOfSeed } from '../../src/ssh/keys.js'

const folder = mkdtempSync(join(tmpdir(), 'gangflow-shell-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('names of members', () => {
  const entry = (node: number, host: string, ...addresses: string[]) => ({
    node,
    memberId: `m${node}`,
    host,
    addresses,
  })
  const apart = [entry(0, 'a.lab', '10.0.0.1'), entry(1, 'b.lab', '10.0.0.2'), entry(2, '7', '10.0.0.3')]
  const together = [entry(0, 'here', '127.0.0.1'), entry(1, 'here', '127.0.0.1')]

  it.each([
    ['0', 0],
    ['node-1', 1],
    ['m2', 2],
    ['a.lab', 0],
    ['b', 1],
    ['10.0.0.3', 2],
    ['7', 2],
  ])('%s is node %i', (name, node) => expect(findNamed(apart, name).node).toBe(node))

  it('mean the asking member where several share a host', () => {
    expect(findNamed(together, 'here', 1).node).toBe(1)
    expect(findNamed(together, 'here').node).toBe(0)
    expect(findNamed(apart, 'localhost', 2).node).toBe(2)
    expect(findNamed(together, '0', 1).node).toBe(0)
  })

  it('that nobody has are refused with those that are', () => {
    expect(() => findNamed(apart, 'c')).toThrowError(/E_GANG_HOST|no member of this gang is called 'c'/)
  })
})

describe('frames of the shim', () => {
  it('carry requests as they are', () => {
    for (const request of [
      { host: 'a', command: 'echo "ü" | cat' },
      { host: 'a' },
      { host: '2', subsystem: 'sftp' },
      { host: 'a', terminal: { type: 'xterm', columns: 300, rows: 7 } },
      { host: 'a', command: '', terminal: { type: 'xterm', columns: 1, rows: 1 } },
    ])
      expect(decodeRequest(encodeRequest(request))).toEqual(request)
  })

  it('are found however they are cut', () => {
    const all = Buffer.concat([encodeFrame(1, 'one'), encodeFrame(2), encodeFrame(16, Buffer.alloc(70_000, 1))])
    for (const size of [1, 3, 7, 4096, all.length]) {
      const cutter = new FrameCutter()
      const found = []
      for (let at = 0; at < all.length; at += size) found.push(...cutter.push(all.subarray(at, at + size)))
      expect(found.map(({ type, content }) => [type, content.length])).toEqual([
        [1, 3],
        [2, 0],
        [16, 70_000],
      ])
    }
  })

  it('of no sensible length are refused', () => {
    expect(() => new FrameCutter().push(Buffer.from([0, 0, 0, 0, 1]))).toThrow()
    expect(() => new FrameCutter().push(Buffer.from([255, 255, 255, 255, 1]))).toThrow()
    expect(() => decodeRequest(Buffer.from([4, 0]))).toThrow()
    expect(() => decodeRequest(Buffer.from('abc'))).toThrow()
  })
})

describe('the ssh-agent', () => {
  it('lists one key to ssh-add, signs with it, and does nothing else', async () => {
    const key = keyOfSeed(createHash('sha256').update('agent').digest(), 'x')
    const socket = join(folder, 'agent.sock')
    const server = createServer((stream) => serveAgent(stream, key))
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    const { execFile } = await import('node:child_process')
    const env = { ...process.env, SSH_AUTH_SOCK: socket }
    const run = (program: string, args: string[]) => promisify(execFile)(program, args, { env })
    expect((await run('ssh-add', ['-L'])).stdout.trim()).toBe(`${key.line} gang`)
    await expect(run('ssh-add', ['-D'])).rejects.toThrow()
    execFileSync('sh', ['-c', `echo '${key.line}' > ${join(folder, 'id.pub')}; echo data > ${join(folder, 'data')}`])
    await run('ssh-keygen', ['-Y', 'sign', '-f', join(folder, 'id.pub'), '-n', 'test', join(folder, 'data')])
    const check = spawnSync('sh', [
      '-c',
      `ssh-keygen -Y check-novalidate -n test -s ${folder}/data.sig < ${folder}/data`,
    ])
    expect(String(check.stdout)).toMatch(/Good "test" signature/)
    server.close()
  })
})

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { keep } from './helpers.js'

/** Whether a Python program can listen, with or without SO_REUSEADDR, as frameworks do. */
function listens(port: number, reuse: boolean, address = ''): boolean {
  const script = `
import socket, sys
host, port, reuse = sys.argv[1], int(sys.argv[2]), sys.argv[3] == 'true'
s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
if reuse: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((host, port)); s.listen()
socket.create_connection((host or '127.0.0.1', port), 2).close()`
  return spawnSync('python3', ['-c', script, address, String(port), String(reuse)]).status === 0
}

const ephemeral = () => readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number)

describe('a held port', () => {
  it('lies outside the ephemeral range, is refused to others and open to who sets SO_REUSEADDR', async () => {
    const keeper = await keep()
    const held = await keeper.hold({})
    const [low, high] = ephemeral()
    expect(held.port < low! || held.port > high!).toBe(true)
    expect(listens(held.port, false)).toBe(false)
    expect(listens(held.port, true)).toBe(true)
    expect(listens(held.port, true, '::')).toBe(true)
    expect(listens(held.port, false)).toBe(false)
    await held.release()
    expect(listens(held.port, false)).toBe(true)
  })

  it('is held for one alone, across keepers, until that one has ended', async () => {
    const one = await keep()
    const two = await keep()
    const ports = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? one : two).hold({})))
    expect(new Set(ports.map((held) => held.port)).size).toBe(50)
    const port = ports[1]!.port
    await expect(two.hold({ port })).rejects.toMatchObject({
      code: 'E_PORT_TAKEN',
      what: expect.stringContaining(`${port}`),
    })
    await one.close()
    expect((await two.hold({ port })).port).toBe(port)
  })

  it('is held on the address given, and by name', async () => {
    const keeper = await keep()
    const local = await keeper.hold({ host: '127.0.0.1' })
    expect(listens(local.port, false, '127.0.0.1')).toBe(false)
    expect(listens(local.port, true, '127.0.0.1')).toBe(true)
    expect(listens(local.port, false, '127.0.0.2')).toBe(true)
    const named = await keeper.hold({ host: 'localhost' })
    expect(listens(named.port, false)).toBe(false)
    await expect(keeper.hold({ host: '203.0.113.7' })).rejects.toMatchObject({ code: 'E_PORT_NONE' })
    await expect(keeper.hold({ host: 'no.such.host.invalid' })).rejects.toMatchObject({ code: 'E_PORT_NONE' })
  })

  it('can be asked for again while the attempt before is in TIME_WAIT', async () => {
    const keeper = await keep()
    const first = await keeper.hold({ host: '127.0.0.1' })
    await first.release()
    // The server closes first, so that its port stays in TIME_WAIT.
    execFileSync('python3', [
      '-c',
      `import socket
s = socket.create_server(('127.0.0.1', ${first.port})); c = socket.create_connection(('127.0.0.1', ${first.port}))
a, _ = s.accept(); a.close(); c.recv(1); c.close()`,
    ])
    const again = await keeper.hold({ host: '127.0.0.1', port: first.port })
    expect(again.port).toBe(first.port)
    expect(listens(first.port, true, '127.0.0.1')).toBe(true)
  })
})

import { hkdfSync } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { parseAddress } from '../../src/ssh/address.js'
import { defaultAdmission } from '../../src/ssh/admission.js'
import { identOf } from '../../src/ssh/knock.js'
import { openMesh } from '../../src/ssh/mesh.js'

const derive = (label: string) => new Uint8Array(hkdfSync('sha256', 'line', '', label, 32))

it('lets members in one after the other, and none of them looks elsewhere while it waits', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gf-line-'))
  // One turn at a time, and whoever does nothing with it has it for longer than a silent address is waited for.
  const server = openMesh({ memberId: 'server', derive, admission: { ...defaultAdmission, turns: 1, turnMs: 4_000 } })
  const members = Array.from({ length: 6 }, (_, index) => openMesh({ memberId: `m${index}`, derive }))
  onTestFinished(async () => {
    await Promise.all([server, ...members].map((mesh) => mesh.close()))
    rmSync(folder, { recursive: true, force: true })
  })
  const target = parseAddress(await server.listen({ bind: ['127.0.0.1'], path: join(folder, 'other.sock') }))!
  const entered: string[] = []
  server.onControl((stream, from) => {
    entered.push(from)
    stream.end('in')
  })
  const { port } = target.candidates[0] as { port: number }
  const dawdler = connect(port, '127.0.0.1')
  onTestFinished(() => void dawdler.destroy())
  dawdler.write(`SSH-2.0-${identOf(derive)}\r\n`)
  await new Promise((resolve) => dawdler.once('data', resolve))
  let came = 0
  const count = () => {
    came += 1
  }
  subscribe('net.server.socket', count)
  onTestFinished(() => void unsubscribe('net.server.socket', count))
  const began = performance.now()
  const signal = AbortSignal.timeout(60_000)
  await Promise.all(
    members.map(async (mesh) => {
      const stream = await mesh.open(target, { signal })
      for await (const _ of stream);
    }),
  )
  expect(performance.now() - began).toBeGreaterThan(3_500)
  // Over the first address alone, not the second one beside it.
  expect(came).toBe(members.length)
  expect(entered.sort()).toEqual(members.map(({ memberId }) => memberId))
})

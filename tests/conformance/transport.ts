import { afterEach, describe, expect, it } from 'vitest'
import type { Connection, Listener, Transport } from '../../packages/core/src/gang/contract.js'

/** What every transport of a gang must hold; `make` gives a fresh one, `free` an address where nobody listens. */
export function transportConformance(name: string, make: () => Transport, free: () => string): void {
  describe(`transport ${name}`, () => {
    const listeners: Listener[] = []
    afterEach(async () => {
      for (const listener of listeners.splice(0)) await listener.close()
    })
    const listen = async (transport: Transport, as = 'one') => {
      const listener = await transport.listen(as)
      listeners.push(listener)
      return listener
    }
    const accept = async (listener: Listener): Promise<Connection> => {
      const { value } = await listener[Symbol.asyncIterator]().next()
      return value as Connection
    }
    const signal = () => AbortSignal.timeout(10_000)

    it('carries bytes both ways, in order, with the end of each side its own', async () => {
      const transport = make()
      const listener = await listen(transport)
      const [there, here] = await Promise.all([
        accept(listener),
        transport.connect(listener.address, { signal: signal() }),
      ])
      const sent = Buffer.alloc(3_000_000, 'gangflow ')
      here.stream.write(sent)
      let got = 0
      await new Promise<void>((resolve) =>
        there.stream.on('data', (chunk: Buffer) => {
          expect(chunk.equals(sent.subarray(got, got + chunk.length))).toBe(true)
          got += chunk.length
          if (got === sent.length) resolve()
        }),
      )
      there.stream.write('back')
      expect(String(await new Promise((resolve) => here.stream.once('data', resolve)))).toBe('back')
      const ended = new Promise((resolve) => there.stream.once('end', resolve))
      here.stream.end()
      await ended
    })

    it('keeps who connects before anybody accepts', async () => {
      const transport = make()
      const listener = await listen(transport)
      const dialled = await Promise.all([1, 2, 3].map(() => transport.connect(listener.address, { signal: signal() })))
      for (const [index, { stream }] of dialled.entries()) stream.write(String(index))
      const heard: string[] = []
      for (let i = 0; i < 3; i += 1) {
        const { stream } = await accept(listener)
        heard.push(String(await new Promise((resolve) => stream.once('data', resolve))))
      }
      expect(heard.sort()).toEqual(['0', '1', '2'])
    })

    it('says that nobody listens (any more): the peer is dead', async () => {
      const transport = make()
      await expect(transport.connect(free(), { signal: signal() })).rejects.toMatchObject({ code: 'E_GANG_REFUSED' })
      const listener = await transport.listen('gone')
      await listener.close()
      await expect(transport.connect(listener.address, { signal: signal() })).rejects.toMatchObject({
        code: 'E_GANG_REFUSED',
      })
    })

    it('ends its iteration when it is closed, and leaves the connections that were taken', async () => {
      const transport = make()
      const listener = await transport.listen('closing')
      const [there, here] = await Promise.all([
        accept(listener),
        transport.connect(listener.address, { signal: signal() }),
      ])
      const rest = (async () => {
        for await (const late of listener) late.close()
      })()
      await listener.close()
      await rest
      there.stream.write('still')
      expect(String(await new Promise((resolve) => here.stream.once('data', resolve)))).toBe('still')
      here.close()
    })

    it('refuses who comes after it was closed, whatever connections stand between the two', async () => {
      const transport = make()
      const listener = await transport.listen('closing')
      const [there, here] = await Promise.all([
        accept(listener),
        transport.connect(listener.address, { signal: signal() }),
      ])
      await listener.close()
      for (const own of [false, true]) {
        const late = transport.connect(listener.address, { signal: signal(), own })
        await expect(late).rejects.toMatchObject({ code: 'E_GANG_REFUSED' })
      }
      there.stream.write('still')
      expect(String(await new Promise((resolve) => here.stream.once('data', resolve)))).toBe('still')
      here.close()
    })

    it('gives each its own bytes, who shares the way and who has one alone', async () => {
      const transport = make()
      const listener = await listen(transport)
      const dialled = await Promise.all(
        [0, 1, 2, 3].map((index) => transport.connect(listener.address, { signal: signal(), own: index % 2 === 1 })),
      )
      for (const [index, { stream }] of dialled.entries()) stream.write(Buffer.alloc(300_000, index))
      const sums: number[][] = []
      for (let i = 0; i < 4; i += 1) {
        const { stream } = await accept(listener)
        const seen: number[] = []
        let got = 0
        await new Promise<void>((resolve) =>
          stream.on('data', (chunk: Buffer) => {
            got += chunk.length
            for (const value of new Set(chunk)) if (!seen.includes(value)) seen.push(value)
            if (got === 300_000) resolve()
          }),
        )
        sums.push(seen)
      }
      expect(sums.flat().sort()).toEqual([0, 1, 2, 3])
      for (const { close } of dialled) close()
    })

    it('holds back who writes more than is read', async () => {
      const transport = make()
      const listener = await listen(transport)
      const [there, here] = await Promise.all([
        accept(listener),
        transport.connect(listener.address, { signal: signal() }),
      ])
      const chunk = Buffer.alloc(1 << 20)
      const drained = () =>
        Promise.race([
          new Promise<boolean>((resolve) => here.stream.once('drain', () => resolve(true))),
          new Promise<boolean>((resolve) => setTimeout(resolve, 500, false)),
        ])
      let taken = 0
      while (taken < 64 && (here.stream.write(chunk) || (await drained()))) taken += 1
      expect(taken).toBeLessThan(64)
      there.stream.resume()
      await new Promise((resolve) => here.stream.once('drain', resolve))
      here.close()
    })

    it('tells the break of a connection to the other side', async () => {
      const transport = make()
      const listener = await listen(transport)
      const [there, here] = await Promise.all([
        accept(listener),
        transport.connect(listener.address, { signal: signal() }),
      ])
      there.stream.resume()
      const closed = new Promise((resolve) => there.stream.once('close', resolve))
      here.close()
      await closed
    })

    it('gives up when it is told to', async () => {
      await expect(make().connect(free(), { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrowError(
        'enough',
      )
    })
  })
}

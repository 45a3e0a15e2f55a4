import { expect, it } from 'vitest'
import type { RunEvent } from '../../src/runtime/contract.js'
import { EventLog } from '../../src/runtime/events.js'

const line = (text: string, task = '1', skipped?: number): RunEvent => ({
  at: 0,
  type: 'line',
  step: 'fit',
  task,
  attempt: 0,
  process: 'body',
  stream: 'stdout',
  text,
  ...(skipped === undefined ? {} : { skipped }),
})
const queued = (task: string): RunEvent => ({ at: 0, type: 'task-queued', step: 'fit', task, attempt: 0 })

async function read(log: EventLog, count = Infinity): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of log) {
    events.push(event)
    if (events.length === count) break
  }
  return events
}

it('tells every reader the same from the start, early or late', async () => {
  const log = new EventLog()
  const early = read(log)
  const events = [queued('1'), line('a'), queued('2'), line('b', '2')]
  for (const event of events) {
    log.emit(event)
    await Promise.resolve()
  }
  const middle = read(log)
  log.close()
  log.emit(queued('late'))
  expect(await early).toEqual(events)
  expect(await middle).toEqual(events)
  expect(await read(log)).toEqual(events)
})

it('keeps all but lines, drops the oldest lines, and counts for each reader what it missed', async () => {
  const log = new EventLog(100)
  const slow = log[Symbol.asyncIterator]()
  for (let index = 0; index < 10; index++) log.emit(line(`n${index}`))
  expect(((await slow.next()).value as { text: string }).text).toBe('n0')
  for (let index = 10; index < 1000; index++) {
    if (index % 10 === 0) log.emit(queued(String(index)))
    log.emit(line(`n${index}`, '1', index === 500 ? 7 : undefined))
  }
  log.close()
  const rest: RunEvent[] = []
  for (let next = await slow.next(); !next.done; next = await slow.next()) rest.push(next.value)
  const lines = rest.filter((event) => event.type === 'line')
  expect(rest.filter((event) => event.type === 'task-queued').length).toBe(99)
  expect(lines.length).toBeLessThanOrEqual(101)
  expect(lines.at(-1)).toMatchObject({ text: 'n999' })
  const skipped = lines.reduce((sum, event) => sum + (event.skipped ?? 0), 0)
  expect(skipped + lines.length + 1).toBe(1000 + 7)
})

it('keeps the last line of each process, and does not look for ever at what it cannot drop', async () => {
  const log = new EventLog(100)
  for (let task = 0; task < 1000; task++) log.emit(line(`of ${task}`, String(task)))
  log.close()
  expect((await read(log)).length).toBe(1000)
})

it('lets a reader leave', async () => {
  const log = new EventLog()
  log.emit(queued('1'))
  log.emit(queued('2'))
  expect((await read(log, 1)).length).toBe(1)
  log.close()
  expect((await read(log)).length).toBe(2)
})

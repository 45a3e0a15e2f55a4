import { PassThrough } from 'node:stream'
import picocolors from 'picocolors'
import { expect, it } from 'vitest'
import { LiveView } from '../../src/cli/view/live.js'

const id = { step: 'train', task: '1', attempt: 0 }

it('shows what a plugin says of its progress beside the member that says it', async () => {
  const stream = Object.assign(new PassThrough(), { columns: 120, rows: 40, isTTY: true })
  let shown = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    shown += text
  })
  const view = new LiveView(stream as unknown as NodeJS.WriteStream, picocolors.createColors(false))
  view.show({ at: Date.now(), type: 'task-started', ...id })
  for (const node of [0, 1]) view.show({ at: Date.now(), type: 'member', ...id, node, state: 'running' } as never)
  view.show({ at: Date.now(), type: 'progress', ...id, node: 1, data: { line: 'epoch 3/10 loss 0.2', other: 1 } })
  view.show({ at: Date.now(), type: 'progress', ...id, node: 0, data: { other: 1 } })
  // Of maps that run at once, the first until it ends.
  const told = { total: 4, failed: 0, elapsed: 0, rate: 1, eta: 0 }
  const say = (map: number, done: number, ended = false) =>
    view.show({
      at: Date.now(),
      type: 'progress',
      ...id,
      data: { map: { ...told, map, label: `map${map}`, done, ended } },
    })
  say(1, 2)
  say(2, 1)
  await expect.poll(() => shown, { timeout: 10_000 }).toMatch(/train\/1 \S+ map1 50%/)
  say(1, 4, true)
  say(2, 2)
  await expect.poll(() => shown, { timeout: 10_000 }).toMatch(/train\/1 \S+ map2 50%/)
  expect(shown).not.toMatch(/map2 25%/)
  await expect.poll(() => shown, { timeout: 10_000 }).toMatch(/node 1 running \S+ epoch 3\/10 loss 0\.2/)
  view.close()
  expect(shown).toMatch(/node 0 running \S+ *\n/)
})

import { expect, it, vi } from 'vitest'
import { command } from '../../src/cli/commands/runs.js'
import { openDatastoreSync } from '../../src/datastore/open.js'
import { keys } from '../../src/datastore/records.js'
import { SampleRun } from '../client/sample.js'
import { tempDirectory } from '../datastore/helpers.js'

it('does not claim that a run of another host still runs', async () => {
  const path = tempDirectory()
  const store = openDatastoreSync(path, { sync: false })
  await SampleRun.start(store, 'Train', '1')
  await store.putRecord(keys.owner('Train', '1', 2), { host: 'gpu-7', pid: 1, pidStart: '1', at: Date.now() })
  const said: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((text: string) => void said.push(text))
  await command({ datastore: path, limit: 20 }, [])
  log.mockRestore()
  expect(said.join('\n')).toMatch(/Train\/1 +running on gpu-7, last seen \d{4}-\d\d-\d\d \d\d:\d\d:\d\d/)
})

import { expect, it } from 'vitest'
import { failedWorker } from '../src/train.js'

const gloo = (rank: string) => `[Rank ${rank} Error Snippet]:
Traceback (most recent call last):
  File "train.py", line 49, in train
RuntimeError: [gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:62176.
`
const dead = `[Rank 2 Error Snippet]:
A worker health check failed.
Worker info: Worker(
    pid=6867,
  ),
)
The actor died unexpectedly before finishing this task.
	pid: 6867
`
const own = `[Rank 3 Error Snippet]:
Traceback (most recent call last):
  File "train.py", line 50, in train
ValueError: no such digit
`
const told = (...snippets: string[]) =>
  `noise\nray.train.WorkerGroupError: Training failed due to worker errors:\n${snippets.join('\n')}`

it('names the worker that died, else the one with an error of its own, and not who lost them', () => {
  expect(failedWorker(told(gloo('0,1'), dead, own))).toMatchObject({
    rank: 2,
    what: expect.stringContaining('rank 2 (pid 6867) died'),
  })
  expect(failedWorker(told(gloo('0,1,2'), own))).toMatchObject({
    rank: 3,
    what: expect.stringContaining('ValueError: no such digit'),
  })
  expect(failedWorker(told(gloo('0')))).toMatchObject({ rank: 0, what: expect.stringContaining('Connection closed') })
  const prefixed = told(gloo('0'), dead).replace(/^/gm, '(TrainController pid=7) ')
  expect(failedWorker(`${prefixed}\nValueError: after it`)).toBeUndefined()
  expect(failedWorker('ValueError: of another kind')).toBeUndefined()
})

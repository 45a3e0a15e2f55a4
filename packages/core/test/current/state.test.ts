import { EventEmitter } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import { type CurrentState, setProcessCurrent, withCurrent } from '../../src/current/state.js'
import { current } from '../../src/index.js'

const state: CurrentState = {
  flow: 'F',
  run: '1',
  step: 's',
  task: '2',
  attempt: 3,
  user: 'me',
  tags: ['t'],
  temp: '/tmp/x',
  namespaces: new Map(),
  plugins: [],
}
afterEach(() => setProcessCurrent(undefined))

it('answers from the process’s task where the asynchronous context is lost', () => {
  const emitter = new EventEmitter()
  let seen = ''
  emitter.on('x', () => {
    seen = current.run
  })
  setProcessCurrent(state)
  emitter.emit('x')
  expect(seen).toBe('1')
  expect({ ...state, run: withCurrent({ ...state, run: '9' }, () => current.run) }.run).toBe('9')
})

it('has every field', () => {
  const { flow, run, step, task, attempt, user, tags, temp } = withCurrent(state, () => ({
    flow: current.flow,
    run: current.run,
    step: current.step,
    task: current.task,
    attempt: current.attempt,
    user: current.user,
    tags: current.tags,
    temp: current.temp,
  }))
  expect([flow, run, step, task, attempt, user, tags, temp]).toEqual(['F', '1', 's', '2', 3, 'me', ['t'], '/tmp/x'])
})

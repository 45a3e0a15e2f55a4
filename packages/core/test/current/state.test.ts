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
  expect(withCurrent({ ...state, run: '9' }, () => current.run)).toBe('9')
})

it('has every field, and can be written as JSON', () => {
  const { namespaces: _, plugins: __, ...fields } = state
  expect(withCurrent(state, () => JSON.parse(JSON.stringify(current)))).toEqual(fields)
  expect(withCurrent(state, () => ({ ...current }))).toEqual(fields)
})

import { describe, expect, it } from 'vitest'
import { causeOfEnd, judge, type Placed, weighError } from '../../src/gang/judge.js'

const failure = (node: number, at: number, weight: Placed['weight'], extra: Partial<Placed> = {}): Placed => ({
  casualty: { kind: 'body', node },
  cause: 'user',
  weight,
  node,
  at,
  ...extra,
})

describe('judge', () => {
  it('has nothing to say of nothing', () => expect(judge([])).toBeUndefined())

  it('takes the earliest, whatever the order of arrival', () => {
    const { first, echoes } = judge([failure(0, 500, 'own'), failure(2, 100, 'own'), failure(1, 300, 'own')])!
    expect(first.node).toBe(2)
    expect(echoes.map((echo) => echo.node)).toEqual([1, 0])
  })

  it('prefers an own exception over a plain exit within the uncertainty', () => {
    expect(judge([failure(0, 100, 'exit'), failure(1, 130, 'own')])!.first.node).toBe(1)
    expect(judge([failure(0, 100, 'exit'), failure(1, 400, 'own')])!.first.node).toBe(0)
  })

  it('never blames an echo while there is anything else, however late that was heard of', () => {
    expect(judge([failure(0, 100, 'echo'), failure(3, 4_900, 'own')])!.first.node).toBe(3)
    expect(judge([failure(0, 100, 'echo'), failure(3, 90, 'echo')])!.first.node).toBe(3)
  })

  it('counts two accounts of one process once', () => {
    const casualty = { kind: 'process', node: 2, process: 'rank2', pid: 77, signal: 'SIGKILL' } as const
    const { first, echoes } = judge([
      failure(2, 100, 'own', { casualty }),
      failure(2, 160, 'own', { casualty }),
      failure(1, 170, 'own'),
    ])!
    expect(first.casualty).toBe(casualty)
    expect(echoes.map((echo) => echo.node)).toEqual([1])
  })

  it('takes of two accounts of one process the one that says more, wherever both are the first', () => {
    const casualty = { kind: 'process', node: 2, process: 'rank2', pid: 77, signal: 'SIGKILL' } as const
    const told = { ...casualty, error: { message: 'rank 2 lost its loader' } }
    const elsewhere = { kind: 'process', node: 2, process: 'rank2', error: told.error } as const
    const far = [failure(2, 100, 'own', { casualty }), failure(0, 150, 'own', { casualty: elsewhere })]
    const both = [failure(2, 100, 'own', { casualty }), failure(2, 101, 'own', { casualty: told })]
    for (const accounts of [both, [...both].reverse(), far]) {
      const { first, echoes } = judge(accounts)!
      expect(first).toMatchObject({ casualty: { process: 'rank2', error: told.error }, at: 100 })
      expect(echoes).toEqual([])
    }
  })

  it('keeps processes of one name on several nodes, and of several pids, apart', () => {
    const of = (node: number, pid?: number) =>
      failure(node, 100 + node, 'own', {
        casualty: { kind: 'process', node, process: 'train', ...(pid ? { pid } : {}) },
      })
    expect(judge([of(0), of(1)])!.echoes).toHaveLength(1)
    expect(judge([of(1, 7), of(1, 8)])!.echoes).toHaveLength(1)
  })

  it('is the same for every order of arrival', () => {
    const all = [failure(0, 100, 'echo'), failure(1, 120, 'exit'), failure(2, 150, 'own'), failure(3, 110, 'own')]
    const orders = [all, [...all].reverse(), [all[2]!, all[0]!, all[3]!, all[1]!]]
    expect(new Set(orders.map((order) => judge(order)!.first.node))).toEqual(new Set([3]))
  })
})

describe('weighError', () => {
  it.each([
    'ConnectionResetError: [Errno 104] Connection reset by peer',
    '[gloo] Read error: Connection closed by peer [127.0.0.1]:4711',
    'Error: connect ECONNREFUSED 127.0.0.1:29500',
    'BrokenPipeError: [Errno 32] Broken pipe',
    'Error: read ECONNRESET',
  ])('takes %s for an echo', (message) => expect(weighError(message)).toBe('echo'))

  it.each(['ValueError: learning rate must be positive', 'Error: boom', 'FileNotFoundError: data.csv'])(
    'takes %s for an own failure',
    (message) => expect(weighError(message)).toBe('own'),
  )

  it('takes our own words about others for echoes', () => expect(weighError('x', 'E_GANG_MEMBER_LOST')).toBe('echo'))
})

describe('causeOfEnd', () => {
  it.each([
    [{ signal: null }, 'user'],
    [{ signal: 'SIGSEGV' }, 'user'],
    [{ signal: 'SIGKILL' }, 'infrastructure'],
    [{ signal: 'SIGKILL', outOfMemory: true }, 'infrastructure'],
  ] as const)('%j is %s', (end, cause) => expect(causeOfEnd(end)).toBe(cause))
})

import { GangflowError } from '../errors/base.js'
import type { Json } from '../flow/values.js'
import type { Checkpoints, KeyValue, Parallel } from '../plugin/contract.js'

/** A gang of one without processes, for tests of a gang step; `given` replaces what it names. */
export function soloParallel(step: string, attempt: number, given: Partial<Parallel> = {}): Parallel {
  const alone = (what: string) => (): never => {
    throw new GangflowError({
      code: 'E_TEST_GANG',
      what: `${step} called current.parallel.${what}, and runStep has no gang`,
      fix: `give runStep what it answers: current: { parallel: { ${what}: async () => … } }`,
      step,
    })
  }
  const entry = { node: 0, memberId: 'test', host: 'localhost', addresses: ['127.0.0.1'], slots: 1, gpus: [] }
  return {
    numNodes: 1,
    nodeIndex: 0,
    mainIp: '127.0.0.1',
    controlTaskId: 'test',
    attempt,
    epoch: 1,
    roster: { epoch: 1, control: 'test', entries: [entry] },
    isControl: true,
    barrier: async () => {},
    broadcast: async (value) => value,
    allGather: async (value) => [value],
    kv: soloKeyValue(),
    checkpoint: soloCheckpoints(),
    exec: alone('exec'),
    copy: alone('copy'),
    ...given,
  }
}

function soloKeyValue(): KeyValue {
  const values = new Map<string, Json>()
  const waiting = new Map<string, ((value: Json) => void)[]>()
  return {
    async set(key, value) {
      values.set(key, value)
      for (const wake of waiting.get(key) ?? []) wake(value)
      waiting.delete(key)
    },
    get: async (key) =>
      values.has(key)
        ? values.get(key)!
        : new Promise((resolve) => waiting.set(key, [...(waiting.get(key) ?? []), resolve])),
    peek: async (key) => values.get(key),
  }
}

function soloCheckpoints(): Checkpoints {
  const values = new Map<string, unknown>()
  return {
    async save(name, value) {
      values.set(name, structuredClone(value))
    },
    load: async <T>(name: string) => structuredClone(values.get(name)) as T | undefined,
  }
}

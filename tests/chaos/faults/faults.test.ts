import { appendFileSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { faults } from './faults.js'
import { drawPairs, performPair } from './pairs.js'
import { perform } from './perform.js'
import { makeProject, type Phase, type Place } from './scene.js'
import { awaitedText, rowsIn, rowsOf } from './table.js'

/** `all`, or a list of ID, ID/PLACE, ID/PLACE/PHASE; default: those of CI. */
const wanted = process.env['FAULTS']
const record = process.env['FAULTS_RECORD']

let hosts: TestHosts
let project: ReturnType<typeof makeProject>
beforeAll(async () => {
  project = makeProject()
  hosts = await startHosts({ count: 3 })
})
afterAll(async () => {
  await hosts?.down()
  project?.remove()
})

const runs = (id: string, place: Place, phase: Phase, ci: readonly string[] = []) => {
  if (wanted === undefined) return ci.includes(`${place} ${phase}`)
  return (
    wanted === 'all' ||
    wanted.split(',').some((one) => one === id || one === `${id}/${place}` || one === `${id}/${place}/${phase}`)
  )
}

for (const place of ['local', 'ssh'] as const) {
  const those = faults
    .filter(({ places }) => places.includes(place))
    .flatMap((fault) => fault.phases.map((phase) => ({ fault, phase })))
    .filter(({ fault, phase }) => runs(fault.id, place, phase, fault.ci))
  describe.runIf(those.length > 0)(`on ${place} members`, () => {
    it.each(those.map((one) => [`${one.fault.what} (${one.phase})`, one] as const))(
      '%s',
      async (_, { fault, phase }) => {
        const own = fault.network && (await startHosts({ count: 2, network: fault.network }))
        const where = { place, phase, hosts: own ?? hosts, file: project.file }
        const outcome = await perform(fault, where).finally(() => own?.down())
        if (record) appendFileSync(record, `${JSON.stringify(outcome)}\n`)
      },
    )
  })
}

const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)
const pairs = drawPairs(number('FAULT_SEED', 1), number('FAULT_PAIRS', 3), number('FAULT_FROM', 0))
describe.runIf(pairs.length > 0)('two faults at once', () => {
  it.each(pairs.map((pair) => [pair.name, pair] as const))('%s', async (_, pair) => {
    await performPair(pair, { hosts, file: project.file })
  })
})

it('the document awaits what the suite does', () => {
  const document = readFileSync(new URL('../../../docs/reference/faults.md', import.meta.url), 'utf8')
  expect(rowsIn(document), 'run: npm run faults').toBe(awaitedText(rowsOf(faults, [])))
})

import { appendFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { faults } from './faults.js'
import { perform } from './perform.js'
import { makeProject, type Phase, type Place } from './scene.js'

/** `all`, or a list of ids; default: those of CI. */
const wanted = process.env['FAULTS']
const record = process.env['FAULTS_RECORD']

let hosts: TestHosts
let project: ReturnType<typeof makeProject>
beforeAll(async () => {
  project = makeProject()
  hosts = await startHosts({ count: 2 })
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
  describe(`on ${place} members`, () => {
    for (const fault of faults.filter(({ places }) => places.includes(place))) {
      for (const phase of fault.phases.filter((one) => runs(fault.id, place, one, fault.ci))) {
        it(`${fault.what} (${phase})`, async () => {
          const outcome = await perform(fault, { place, phase, hosts, file: project.file })
          if (record) appendFileSync(record, `${JSON.stringify(outcome)}\n`)
        })
      }
    }
  })
}

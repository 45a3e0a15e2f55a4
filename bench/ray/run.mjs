// `npm run bench -- ray [NODES] [stop]`: a Ray cluster on this machine by `@ray`, by `ray start` typed by hand, and by metaflow-ray.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engineEnvironment } from '../../scripts/engine-env.mjs'
import { interleave, ratioOf } from '../lib/measure.mjs'
import { byHand } from './by-hand.mjs'
import { byGangflow } from './gangflow.mjs'
import { byMetaflow } from './metaflow.mjs'

const base = 'ray start by hand'

/** @returns {Promise<object>} figures, as `interleave` gives them */
export async function benchRay(words, { rounds = 3, say = () => {} } = {}) {
  const nodes = Number(words.find(Number) ?? 4)
  const python = await engineEnvironment('ray')
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-bench-ray-'))
  const place = { python, nodes, folder, stop: words.includes('stop') }
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))
  try {
    const metaflow = await byMetaflow(place)
    const of = [
      { name: base, measure: () => byHand(place) },
      { name: 'gangflow', measure: () => byGangflow(place) },
      ...(metaflow ? [{ name: 'metaflow-ray', measure: metaflow }] : []),
    ]
    const measured = await interleave(of, { rounds, say })
    for (const figure of new Set(measured.map((one) => one.figure))) {
      console.log(`\n${figure}`)
      const rows = measured.filter((one) => one.figure === figure)
      const against = rows.find((one) => one.name === base)
      for (const one of rows) {
        const told = against ? `  ${ratioOf(one, against).toFixed(2)} of ${base}` : ''
        const range = `(${Math.min(...one.times).toFixed(0)} to ${Math.max(...one.times).toFixed(0)})`
        console.log(`  ${one.name.padEnd(18)} ${one.median.toFixed(0).padStart(7)} ms${told}  ${range}`)
      }
    }
    return measured
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

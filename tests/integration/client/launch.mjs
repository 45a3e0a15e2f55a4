// Runs the flow in the datastore that it is given; prints the run's id.
import { run } from '@gangflow/core'

const [file, datastore] = process.argv.slice(2)
const handle = run(file, { datastore, parameters: { hang: true } })
console.log(await handle.id)
await handle.result

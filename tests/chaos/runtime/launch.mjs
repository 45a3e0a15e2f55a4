// A launcher to be killed: `launch.mjs run|resume FILE OPTIONS`. Says the run's id, the lines of its steps, then its status.
import { resume, run } from '@gangflow/core'

const [verb, file, options] = process.argv.slice(2)
const handle = (verb === 'resume' ? resume : run)(file, JSON.parse(options))
handle.id.then(
  (id) => console.log(`id ${id}`),
  () => {},
)
for await (const event of handle.events) if (event.type === 'line') console.log(`line ${event.text}`)
try {
  console.log(`status ${(await handle.result).status}`)
} catch (error) {
  console.log(`refused ${error.code}`)
}

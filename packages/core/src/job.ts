// What runs in an engine's job: `node job.js DATASTORE FLOW RUN JOB INDEX`, one task of it.
import { runJob } from './composition/job.js'

await runJob(process.argv.slice(2))

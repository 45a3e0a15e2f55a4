// What runs in an engine's job: `node job.cjs FOLDER DATASTORE FLOW RUN JOB INDEX`, one task of it; FOLDER keeps its compiled form.
// CommonJS, because Node starts that sooner.
import { loadCompiled } from './body/load-shared.js'

const { runJob } = loadCompiled(__dirname, 'job-main', process.argv[2]) as typeof import('./composition/job.js')
void runJob(process.argv.slice(2))

// `npm run demo -- [NAME] [OPTION…]`: prepares what an example needs and runs it; options go to `gangflow run`.
import { spawn, spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const say = (line) => console.error(`demo: ${line}`)

/** Open MPI 5 of the Python index, with mpi4py; where the person names an installation, that one. */
async function withMpi() {
  if (process.env.GANGFLOW_MPI_HOME) return {}
  const { mpiEnvironment } = await import('./mpi-env.mjs')
  const { bin, python } = await mpiEnvironment('openmpi5', { log: say })
  return { GANGFLOW_MPI_HOME: dirname(bin), GANGFLOW_PYTHON: python }
}

/** An engine's own environment; where the person names an interpreter, that one. */
const withEngine = (name) => async () => {
  if (process.env.GANGFLOW_PYTHON) return {}
  const { engineEnvironment } = await import('./engine-env.mjs')
  return { GANGFLOW_PYTHON: await engineEnvironment(name, { log: say }) }
}

const demos = {
  tfjs: {
    flow: 'examples/tfjs-digits/flow.ts',
    about: 'train a convolutional network on handwritten digits with TensorFlow.js on a gang of four; needs Node alone',
    next: 'npx gangflow artifacts TfjsDigits/latest/end',
    environment: async () => ({}),
  },
  torch: {
    flow: 'examples/torch-digits/flow.ts',
    about: 'train a classifier of handwritten digits with torch.distributed on a gang of four',
    next: 'npx gangflow artifacts TorchDigits/latest/end',
    async environment() {
      const { pythonWithTorch } = await import('./python-env.mjs')
      return { GANGFLOW_PYTHON: await pythonWithTorch({ log: say }) }
    },
  },
  mpi: {
    flow: 'examples/mpi-hello/hello.ts',
    about: 'say hello from eight MPI ranks of mpi4py on a gang of four',
    next: 'npx gangflow logs MpiHello/latest/multinode',
    environment: withMpi,
  },
  'mpi-pi': {
    flow: 'examples/mpi-hello/pi.ts',
    about: 'compile a C program, take it to four members and compute pi by eight ranks',
    next: 'npx gangflow artifacts MpiPi/latest/end',
    environment: withMpi,
  },
  'mpi-pairs': {
    flow: 'examples/mpi-hello/pairs.ts',
    about: 'measure latency and bandwidth between all pairs of four members, drawn as a picture',
    next: 'npx gangflow artifacts MpiPairs/latest/end',
    environment: withMpi,
  },
  ray: {
    flow: 'examples/ray-slow-fn/flow.ts',
    about: 'map a slow function over 512 jobs by Ray, on a cluster of two nodes that the gang forms',
    next: 'npx gangflow logs RaySlowFn/latest/map',
    environment: withEngine('ray'),
  },
  'ray-train': {
    flow: 'examples/ray-train-digits/flow.ts',
    about: "train a classifier of handwritten digits with Ray Train's TorchTrainer, on a cluster of two nodes",
    next: 'npx gangflow artifacts RayTrainDigits/latest/end',
    environment: withEngine('ray'),
  },
  dask: {
    flow: 'examples/dask-slow-fn/flow.ts',
    about: 'map a slow function over 512 jobs by Dask, on a cluster of two workers that the gang forms',
    next: 'npx gangflow logs DaskSlowFn/latest/map',
    environment: withEngine('dask'),
  },
  deepspeed: {
    flow: 'examples/deepspeed-transformer/flow.ts',
    about: 'train a small transformer by DeepSpeed with ZeRO stage 1 on a gang of two',
    next: 'npx gangflow artifacts DeepSpeedTransformer/latest/end',
    environment: withEngine('deepspeed'),
  },
}

const [first, ...others] = process.argv.slice(2)
const named = first !== undefined && !first.startsWith('-')
const name = named ? first : 'tfjs'
const options = named ? others : process.argv.slice(2)
const demo = demos[name]
const isHelp = !named && /^(?:--help|-h)$/.test(first ?? '')
if (!demo || isHelp) {
  const tell = isHelp ? console.log : console.error
  tell(
    isHelp
      ? 'npm run demo -- [NAME] [OPTION…]    prepares what an example needs and runs it'
      : `demo: there is no demo '${name}'; there are:`,
  )
  for (const [known, { about }] of Object.entries(demos)) tell(`  npm run demo -- ${known.padEnd(10)} ${about}`)
  if (isHelp)
    tell(
      "The first one where none is named; options go to `gangflow run` ('npm run demo -- dask --help' lists the flow's).",
    )
  process.exit(isHelp ? 0 : 2)
}

const setup = spawnSync(process.execPath, ['scripts/setup.mjs', '--to-run'], { cwd: root, stdio: 'inherit' })
if (setup.status !== 0) process.exit(setup.status ?? 1)
let environment
try {
  environment = await demo.environment()
} catch (error) {
  say(error.message)
  process.exit(1)
}
say(`gangflow run ${[demo.flow, ...options].join(' ')}`)
const run = spawn(process.execPath, ['packages/core/dist/cli.cjs', 'run', demo.flow, ...options], {
  cwd: root,
  stdio: 'inherit',
  // Where the other commands look when they are typed here.
  env: { GANGFLOW_DATASTORE: `${root}.gangflow`, ...process.env, ...environment },
})
// A terminal's Ctrl-C reaches the launcher itself, which ends its run and says so; this process only waits for it.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => run.kill('SIGTERM'))
run.on('exit', (code, signal) => {
  if (code === 0) say(`see what it left: ${demo.next}`)
  process.exit(code ?? (signal === 'SIGINT' ? 130 : 1))
})

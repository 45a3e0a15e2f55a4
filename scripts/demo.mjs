// `npm run demo -- [NAME] [OPTION…]`: prepares what an example needs and runs it; options go to `gangflow run`.
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const say = (line) => console.error(`demo: ${line}`)

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
}

const [first, ...others] = process.argv.slice(2)
const named = first !== undefined && !first.startsWith('-')
const name = named ? first : 'tfjs'
const options = named ? others : process.argv.slice(2)
const demo = demos[name]
if (!demo) {
  say(`there is no demo '${name}'; there are:`)
  for (const [known, { about }] of Object.entries(demos)) console.error(`  npm run demo -- ${known}    ${about}`)
  process.exit(2)
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

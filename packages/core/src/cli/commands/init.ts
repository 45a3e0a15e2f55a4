import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { exitCodes } from '../../errors/exit-codes.js'
import type { CommandModule } from '../commands.js'
import { styleOf } from '../style.js'

const flow = `import { current, FlowSpec, type Inputs, parallel, parameter, step } from '@gangflow/core'

export default class Hello extends FlowSpec {
  readonly nodes = parameter.number({ default: 4, help: 'members of the gang' })
  hosts!: string[]

  @step start() {
    this.next(this.meet, { numParallel: this.nodes })
  }

  @parallel()
  @step async meet() {
    const { nodeIndex, numNodes } = current.parallel
    this.hosts = await current.parallel.allGather(\`node \${nodeIndex} of \${numNodes}\`)
    this.next(this.join)
  }

  @step join(inputs: Inputs<Hello, 'meet'>) {
    this.hosts = inputs[0]!.hosts
    this.next(this.end)
  }

  @step end() {
    console.log(this.hosts.join(', '))
  }
}
`

/** `gangflow init [FOLDER]`: writes what is missing, changes nothing that is there. */
export const command: CommandModule['command'] = async (args) => {
  const folder = resolve(String(args['folder'] ?? '.'))
  await mkdir(folder, { recursive: true })
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const files: Record<string, string> = {
    'package.json': json({
      name:
        basename(folder)
          .toLowerCase()
          .replace(/[^a-z0-9-]+/g, '-')
          .replace(/^-+|-+$/g, '') || 'flows',
      private: true,
      type: 'module',
      scripts: { start: 'gangflow run flow.ts', check: 'gangflow check flow.ts' },
      dependencies: { '@gangflow/core': `^${version}` },
      devDependencies: { typescript: '^5.9.0' },
    }),
    'tsconfig.json': json({
      compilerOptions: { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true },
    }),
    'flow.ts': flow,
  }
  const written: string[] = []
  const kept: string[] = []
  for (const [name, text] of Object.entries(files)) {
    const made = await writeFile(join(folder, name), text, { flag: 'wx' }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false
        throw error
      },
    )
    ;(made ? written : kept).push(name)
  }
  if (args['json'] === true) console.log(JSON.stringify({ folder, written, kept }))
  else {
    const style = styleOf(process.stdout, args)
    for (const name of written) console.log(`${style.green('wrote')} ${join(folder, name)}`)
    for (const name of kept) console.log(`${style.dim('kept')}  ${join(folder, name)}`)
    console.log(`next: ${folder === process.cwd() ? '' : `cd ${folder} && `}npm install && npx gangflow run flow.ts`)
  }
  return exitCodes.ok
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

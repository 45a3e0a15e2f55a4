import { execFile } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Project, project } from '../../../packages/core/test/compile/project.js'

const repository = new URL('../../..', import.meta.url).pathname
const command = `${repository}packages/core/dist/cli.cjs`
const flow = `import { FlowSpec, step } from '@gangflow/core'
export default class Small extends FlowSpec {
  @step start() { this.next(this.end) }
  @step end() { console.log('ended') }
}
`

/** A project with a core of its own, of another version, whose command says so. */
function withOwnCore(): Project {
  const made = project({ 'package.json': '{ "type": "module" }', 'flow.ts': flow })
  const own = made.path('node_modules/@gangflow/core')
  cpSync(`${repository}packages/core/dist`, `${own}/dist`, {
    recursive: true,
    filter: (path) => !path.endsWith('/types'),
  })
  const manifest = JSON.parse(readFileSync(`${repository}packages/core/package.json`, 'utf8'))
  writeFileSync(`${own}/package.json`, JSON.stringify({ ...manifest, version: '9.9.9' }))
  const [hashbang, ...rest] = readFileSync(command, 'utf8').split('\n')
  writeFileSync(`${own}/dist/cli.cjs`, [hashbang, "console.error('the command of 9.9.9')", ...rest].join('\n'))
  for (const name of Object.keys(manifest.dependencies))
    made.linkTo(`${repository}node_modules/${name}`, `node_modules/${name}`)
  return made
}

function gangflow(made: Project, ...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((settle) => {
    execFile(process.execPath, [command, ...args], { cwd: made.root }, (error, stdout, stderr) => {
      settle({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr })
    })
  })
}

describe('a command that is installed elsewhere', () => {
  it("lets the flow's own core do the work", async () => {
    const made = withOwnCore()
    const ran = await gangflow(made, 'run', 'flow.ts')
    expect(ran.output).toContain('the command of 9.9.9')
    expect(ran.output).toContain('ended')
    expect(ran.code).toBe(0)
  })

  it('names what is missing where the flow has no core', async () => {
    const made = project({ 'package.json': '{ "type": "module" }', 'flow.ts': flow })
    const refused = await gangflow(made, 'run', 'flow.ts')
    expect(refused.code).not.toBe(0)
    expect(refused.output).toContain('E_CORE_MISSING')
    expect(refused.output).toContain('npm install @gangflow/core')
  })

  it('names a core that cannot do the work', async () => {
    const made = project({
      'package.json': '{ "type": "module" }',
      'flow.ts': flow,
      'node_modules/@gangflow/core/package.json': '{ "name": "@gangflow/core", "version": "0.0.1" }',
    })
    const refused = await gangflow(made, 'run', 'flow.ts')
    expect(refused.code).not.toBe(0)
    expect(refused.output).toContain('E_CORE_INCOMPATIBLE')
  })
})

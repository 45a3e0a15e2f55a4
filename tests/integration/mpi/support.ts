import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mpiEnvironment } from '../../../scripts/mpi-env.mjs'
import { SshProject } from '../../support/ssh-project.js'

export const implementations = ['openmpi4', 'openmpi5', 'mpich'] as const
export type ImplementationName = (typeof implementations)[number]

export interface Installed {
  readonly name: ImplementationName
  readonly home: string
  readonly python: string
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** A project with the flow of this folder for each implementation, and `behave` compiled by it. */
export async function mpiProject(): Promise<{ project: SshProject; installed: readonly Installed[] }> {
  const installed: Installed[] = []
  const project = new SshProject({})
  for (const name of implementations) {
    const { bin, python } = await mpiEnvironment(name)
    const folder = join(project.folder, name)
    mkdirSync(folder)
    execFileSync(join(bin, name === 'openmpi4' ? 'mpicc.openmpi' : 'mpicc'), [
      ...['-O1', '-o', join(folder, 'behave')],
      here('behave.c'),
    ])
    copyFileSync(here('hello.py'), join(folder, 'hello.py'))
    copyFileSync(here('flow.ts'), join(folder, 'flow.ts'))
    installed.push({ name, home: dirname(bin), python })
  }
  return { project, installed }
}

import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestHosts } from '../../hosts/index.js'
import { type Running, SshProject } from '../../support/ssh-project.js'

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const files = ['flow.ts', 'fault.ts', 'row.ts', 'faults.ts', 'work.py', 'hang.py', 'job/job.py']
const train = '../../../examples/ray-train-digits/train.py'

/** A person's project with the flows of this folder. */
export function rayProject(): SshProject {
  const project = new SshProject({})
  mkdirSync(join(project.folder, 'job'))
  for (const file of files) copyFileSync(here(file), join(project.folder, file))
  copyFileSync(here(train), join(project.folder, 'train.py'))
  return project
}

/** Starts a flow of it, here or on hosts. */
export function startRay(project: SshProject, python: string, words: readonly string[], hosts?: TestHosts): Running {
  const named = join(project.folder, 'hosts')
  if (hosts) writeFileSync(named, hosts.names.map((host) => `${host} python=${python} slots=1\n`).join(''))
  const there = hosts ? ['--backend', 'ssh', '--hosts-file', named, '--ssh-config', hosts.config] : []
  return project.start(['run', ...words, ...there], { GANGFLOW_PYTHON: python })
}

/** What gangs' clusters have left in a folder of this machine. */
export const leftIn = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith('gf-ray-'))

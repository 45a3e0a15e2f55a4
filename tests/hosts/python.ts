import { realpathSync } from 'node:fs'
import { must } from './run.js'

/** What hosts must be shown so that they can use an interpreter of this machine, at the same paths: `show` of `startHosts`. */
export async function pythonFolders(python: string): Promise<string[]> {
  const ask = 'import sys; print(sys.prefix); print(sys.base_prefix)'
  const told = (await must([python, '-I', '-c', ask])).trim().split('\n')
  const folders = [...told, ...told.map((folder) => realpathSync(folder))]
  return [...new Set(folders)].filter((folder) => folder !== '/usr' && !folder.startsWith('/usr/'))
}

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const path = new URL('../.peers/submitit', import.meta.url).pathname
const version = '1.5.4'

/** A Python, and the folder in which it finds submitit; put there at first use. */
export function submititFolder() {
  const python = process.env.GANGFLOW_PYTHON ?? 'python3'
  if (!existsSync(`${path}/submitit`))
    execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--target', path, `submitit==${version}`], {
      stdio: 'inherit',
    })
  return { python, path }
}

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const fixture = fileURLToPath(new URL('./fixtures/mpi.mjs', import.meta.url))
const mpirun = ['mpirun.openmpi', '--allow-run-as-root', '--oversubscribe', '--bind-to', 'none']

async function run(argv: readonly string[]) {
  const { stdout } = await promisify(execFile)(argv[0]!, [...argv.slice(1), process.execPath, fixture, 'run'])
  return lines(stdout)
}
const lines = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { rank?: number; value?: string; error?: { code: string; what: string } })

describe('collectives by MPI', () => {
  it('give every result right under mpirun, and the same to all', async () => {
    const results = await run([...mpirun, '-n', '3'])
    expect(results.map(({ rank }) => rank).sort()).toEqual([0, 1, 2])
    expect(new Set(results.map(({ value }) => value)).size).toBe(1)
  })

  it('name what does not fit, on every rank', async () => {
    const argv = [...mpirun.slice(1), '-n', '2', process.execPath, fixture, 'mismatch']
    const { stdout } = await promisify(execFile)(mpirun[0]!, argv)
    for (const { error } of lines(stdout))
      expect(error).toMatchObject({ code: 'E_TF_CALL_MISMATCH', what: expect.stringMatching(/float32\[9\]/) })
  })

  it('are refused where mpirun did not start the process', async () => {
    expect(await run(['env'])).toMatchObject([{ error: { code: 'E_TF_MPI' } }])
  })
})

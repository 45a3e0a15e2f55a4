// The row `dask`: a scheduler and workers on this machine, by `dask scheduler` and `dask worker` typed by hand (without
// TLS), and by `@dask`.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { engineEnvironment } from '../../scripts/engine-env.mjs'
import { baseEnv } from '../lib/measure.mjs'
import { freePorts, runFlow, since } from './run.mjs'

export const byHand = 'dask by hand'
/** What is read off each run. */
export const figures = {
  'to all workers':
    'from the first command typed by hand, or from the beginning of @dask, until the scheduler counts all workers',
  'command to all workers': 'from the same, or from the start of `gangflow run`, until then',
  'to their end':
    'from TERM to all by hand (KILL after half a minute), or from the end of the step, until nothing of it lives',
  'kill to the end':
    "from kill -9 of a worker whose task the client waits for until the run has ended; Dask's own client hears nothing of it, and waits for ever",
}

export async function daskContestants(place) {
  const { nodes } = place
  const python = await engineEnvironment('dask')

  async function typed() {
    const folder = mkdtempSync(join(tmpdir(), 'bench-dask-'))
    const [port, http, ...own] = await freePorts(2 + nodes)
    const children = []
    const begin = (...words) => {
      const child = spawn(python, ['-m', 'dask', ...words], { env: baseEnv, stdio: 'ignore' })
      children.push({ child, ended: new Promise((resolve) => child.on('close', resolve)) })
    }
    const workers = async () => {
      const answer = await fetch(`http://127.0.0.1:${http}/json/counts.json`).catch(() => undefined)
      return answer?.ok ? (await answer.json()).workers : -1
    }
    const until = async (enough) => {
      for (let turn = 0; !enough(await workers()); turn++) {
        if (turn > 1200) throw new Error('Dask did not come up')
        await sleep(100)
      }
    }
    const begun = process.hrtime.bigint()
    try {
      const plain = ['--no-dashboard', '--dashboard-address']
      begin('scheduler', '--host', '127.0.0.1', '--port', String(port), ...plain, `127.0.0.1:${http}`)
      // One terminal each: nobody waits for the scheduler before typing the next.
      for (const each of own) {
        const where = ['--host', '127.0.0.1', '--local-directory', folder, '--nthreads', '1', '--no-nanny']
        begin('worker', `tcp://127.0.0.1:${port}`, ...where, ...plain, `127.0.0.1:${each}`)
      }
      await until((count) => count === nodes)
      const up = since(begun)
      const ending = process.hrtime.bigint()
      for (const { child } of children) child.kill('SIGTERM')
      // A worker that has lost its scheduler while it ends may stay for ever.
      const patience = setTimeout(() => {
        for (const { child } of children) child.kill('SIGKILL')
      }, 30_000)
      await Promise.all(children.map(({ ended }) => ended))
      clearTimeout(patience)
      return { 'to all workers': up, 'command to all workers': up, 'to their end': since(ending) }
    } finally {
      for (const { child } of children) child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    }
  }

  async function gangflow() {
    const well = await runFlow('dask', place, { GANGFLOW_PYTHON: python })
    const lost = await runFlow('dask', place, { GANGFLOW_PYTHON: python, BENCH_FAULT: 'kill' })
    const [, took, at] = /ready after ([\d.]+) ms at (\d+)/.exec(well.output)
    return {
      'to all workers': Number(took),
      'command to all workers': well.from(at),
      'to their end': well.to(/left at (\d+)/.exec(well.output)[1]),
      'kill to the end': lost.to(/killed at (\d+)/.exec(lost.output)[1]),
    }
  }

  return [
    { name: byHand, measure: typed },
    { name: 'gangflow', measure: gangflow },
  ]
}

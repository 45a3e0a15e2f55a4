import type { EngineFailure } from '@gangflow/core/plugin'
import { expect, it } from 'vitest'
import { explain, gaveUp, mayRetry } from '../src/explain.js'

const entry = (node: number) => ({ node, memberId: `m${node}`, host: `h${node}`, addresses: [], slots: 1, gpus: [] })
const gang = { step: 'train', roster: { epoch: 1, control: 'm0', entries: [entry(0), entry(1)] } }
const failure = (quote: string[], more: Partial<EngineFailure> = {}): EngineFailure => ({
  kind: 'ended',
  starting: false,
  node: 1,
  host: 'h1',
  nodes: [1],
  process: 'ray-node1',
  afterMs: 4_000,
  exit: { node: 1, exitCode: 1, signal: null, stdout: '', stderr: '', durationMs: 4_000 },
  quote,
  ...more,
})

it.each([
  [failure(['  raylet [exit code=-9 (signal 9)]']), 'E_RAY_NODE', "Ray's raylet on node 1 (h1) was ended by SIGKILL"],
  [
    failure(['gcs_server [exit code=1]'], { node: 0, host: 'h0' }),
    'E_RAY_NODE',
    "Ray's gcs_server on node 0 (h0) ended with exit code 1",
  ],
  [failure([], { starting: true }), 'E_RAY_START', "'ray start' on node 1 (h1) ended with exit code 1"],
  [
    failure(["ModuleNotFoundError: No module named 'ray'"], { starting: true }),
    'E_RAY_MISSING',
    'the Python of node 1 (h1) has no Ray',
  ],
  [
    failure([], { kind: 'late', starting: true, nodes: [0, 1] }),
    'E_RAY_START',
    'after 4 s Ray still waits for node 0 (h0), node 1 (h1)',
  ],
  [
    failure(['gangflow: raylet is stopped, pid 7'], { kind: 'silent' }),
    'E_RAY_SILENT',
    'Ray on node 1 (h1) has not answered for 4 s: its raylet is stopped (SIGSTOP)',
  ],
  [
    failure(['gangflow: gcs_server is not running'], { kind: 'silent', node: 0 }),
    'E_RAY_NODE',
    "Ray's gcs_server on node 0 (h0) is not running any more; 'ray start' had not begun to watch it, so that nothing says how it ended",
  ],
])('%#: names what ended, where, as Ray itself wrote it down', (of, code, what) => {
  expect(explain(gang, of)).toMatchObject({ code, what, step: 'train' })
})

it('hands the signal of the process below on, and tries again only what may go better', () => {
  expect(explain(gang, failure(['raylet [exit code=-11 (signal 11)]'])).details).toMatchObject({ signal: 'SIGSEGV' })
  expect(mayRetry(failure(['Check failed: statussetor'], { starting: true }))).toBe(true)
  expect(mayRetry(failure(["No module named 'ray'"], { starting: true }))).toBe(false)
  expect(mayRetry(failure([], { kind: 'late' }))).toBe(false)
  expect(gaveUp(failure(['Timed out waiting for file /tmp/x/metrics_agent_port_1']))).toBe(true)
  expect(gaveUp(failure(['Check failed']))).toBe(false)
})

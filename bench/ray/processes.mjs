import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is read off each cluster, in milliseconds. */
export const figures = {
  ready: "from the step's start (by hand: the first command) until every node is up",
  killed: 'from SIGKILL of a raylet until the run has failed and nothing is left (by hand: until the GCS says so)',
  stopped: 'from SIGSTOP of a raylet until the run has failed and nothing is left (by hand: until the GCS says so)',
  end: 'from the end of the work until no process of the cluster is left (by hand: by SIGKILL of their groups)',
}

const read = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
const pids = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))

/** The pid of a program that has this text in its command line. */
export function processIn(text, program) {
  const found = pids().find(
    (pid) => read(`/proc/${pid}/comm`).trim() === program && read(`/proc/${pid}/cmdline`).includes(text),
  )
  if (found === undefined) throw new Error(`no ${program} of ${text} is running`)
  return Number(found)
}

/** The processes of this machine that have one of these texts in their command line or their environment. */
export function pidsOf(texts) {
  const has = (text) => texts.some((one) => text.includes(one))
  return pids()
    .filter((pid) => has(read(`/proc/${pid}/cmdline`)) || has(read(`/proc/${pid}/environ`)))
    .map(Number)
}

/** Settles when there are none of them. */
export async function gone(texts) {
  while (pidsOf(texts).length > 0) await sleep(20)
}

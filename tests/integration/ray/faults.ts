import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { current } from '@gangflow/core'

/**
 * Runs a driver that waits for ever, and sends a signal to a process of this gang's Ray on a node, by name; `start` is
 * `ray start` itself, `body` the process that runs this. An empty name: to none.
 */
export async function hangAndSignal(name: string, signal: string, node: number): Promise<void> {
  const begun = `hangs-${current.parallel.attempt}`
  const driver = current.ray.run({ entrypoint: 'hang.py', args: [begun] })
  driver.catch(() => {})
  for (let turn = 0; !existsSync(begun); turn++) {
    if (turn > 3000) throw new Error('the driver has not begun')
    await Promise.race([sleep(100), driver])
  }
  console.log('the driver hangs')
  if (name === 'body') process.kill(process.pid, 'SIGKILL')
  const script = `for p in /proc/[0-9]*; do
  is=$(cat $p/comm 2>/dev/null)
  case $is in sh | '') continue ;; esac
  tr '\\0' ' ' 2>/dev/null < $p/cmdline | grep -q 'ray.scripts.scripts start' && is=start
  [ "$is" = ${name} ] || continue
  tr '\\0' '\\n' 2>/dev/null < $p/environ | grep -qx "GANGFLOW_RUN=$GANGFLOW_RUN" || continue
  tr '\\0' '\\n' < $p/environ | grep -qx "GANGFLOW_NODE=${node}" && kill -${signal} \${p#/proc/} && echo sent
done`
  if (name !== '') {
    const [sent] = await current.parallel.exec([node], ['sh', '-c', script])
    if (!sent?.stdout.includes('sent')) throw new Error(`there was no ${name} on node ${node}: ${sent?.stderr}`)
  }
  await driver
}

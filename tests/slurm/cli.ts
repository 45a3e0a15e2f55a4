// `npm run slurm -- up [NODES] [--apart] | down | status`: a real Slurm on this machine; `--apart`: its nodes do not see /tmp and the code of this checkout.
import { clusters, startCluster } from './cluster.js'

const usage = 'npm run slurm -- up [NODES] [--apart] | down | status'

async function main(words: readonly string[]): Promise<number> {
  const apart = words.includes('--apart')
  const [command, count] = words.filter((word) => word !== '--apart')
  switch (command) {
    case 'up': {
      const nodes = Number(count ?? 4)
      if (!Number.isInteger(nodes) || nodes < 1 || nodes > 64)
        throw new Error(`up takes a number of nodes from 1 to 64, not ${count}\n  fix: ${usage}`)
      const began = performance.now()
      const cluster = await startCluster({ nodes, apart })
      console.log(
        `${nodes} nodes in ${((performance.now() - began) / 1000).toFixed(1)} s\nexport SLURM_CONF=${cluster.conf}`,
      )
      return 0
    }
    case 'down': {
      const found = clusters().filter(({ folder }) => count === undefined || folder.endsWith(count))
      for (const cluster of found) await cluster.down()
      console.log(found.length === 0 ? 'no cluster runs' : found.map(({ folder }) => `${folder} is gone`).join('\n'))
      return 0
    }
    case 'status': {
      const found = clusters()
      for (const cluster of found) {
        console.log(`export SLURM_CONF=${cluster.conf}`)
        if (!cluster.alive) console.log('  its controller does not run')
        else for (const words of [['sinfo'], ['squeue']]) console.log(await cluster.run(words[0]!, ...words.slice(1)))
      }
      if (found.length === 0) console.log('no cluster runs')
      return 0
    }
    default:
      throw new Error(`${command ?? 'nothing'} is no command\n  fix: ${usage}`)
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: Error) => {
    console.error(error.message)
    process.exit(1)
  },
)

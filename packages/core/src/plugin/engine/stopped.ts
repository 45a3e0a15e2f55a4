import type { Command, GangContext } from '../contract.js'

/** In the environment of a process of a cluster, and of all that it starts. */
const mark = 'GANGFLOW_ENGINE_PART'
/** Milliseconds that a member has to say. */
const ANSWER_MS = 2_000

/** `$1` is the part's mark. Ptrace's own stop (state t) is a debugger's, and short. */
const script = `for file in $(grep -lzx "${mark}=$1" /proc/[0-9]*/environ 2>/dev/null); do
  folder=\${file%/environ}
  read -r line 2>/dev/null < "$folder/stat" || continue
  case \${line##*) } in
    T*) read -r name < "$folder/comm"; echo "\${folder#/proc/} ($name)" ;;
  esac
done
exit 0`

/** A command of the cluster, to be found again by `part`. */
export const marked = (command: Command, part: string): Command => ({
  ...command,
  env: { ...command.env, [mark]: part },
})

/** The first process of that part which a signal has stopped, such as `4711 (python)`; undefined where none is, or nobody says. */
export async function stoppedOn(gang: GangContext, node: number, part: string): Promise<string | undefined> {
  const command = { name: 'engine-stopped', argv: ['/bin/sh', '-c', script, 'sh', part], show: false }
  const [answer] = await gang.exec([node], command, { timeout: ANSWER_MS }).catch(() => [])
  return answer?.stdout.trim().split('\n')[0] || undefined
}

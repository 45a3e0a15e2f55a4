import { silences } from './command.js'

/** Days for which a layer of the runtime is kept on a node that no run has used. */
const KEPT_DAYS = 30
/** Seconds for which the task of a killed agent waits, so that what its processes said last can be brought. */
const LEFT_S = 60
/** Seconds before a controller that is away is asked again. */
const AGAIN_S = 10

/** Ends with 0 where srun still listens. */
const srunLives = `const [, host, port] = process.argv
const end = (code) => () => process.exit(code)
require("net").connect({ host, port, timeout: 5000 }).on("connect", end(0)).on("error", end(1)).on("timeout", end(1))`

/**
 * What `sh` runs as each task of a relayed gang's step, on nodes that share no disk with the launcher (POSIX sh, coreutils
 * or busybox). All that it is told comes on stdin, as nothing of it may be seen in argv, an environment or a script: facts, the launcher's
 * Node, a command that looks for the runtime, the runtime, and then what is for the agent alone. What it says is on lines of its own, each begun
 * by a nonce and the number of its task. It stays the agent's parent, and cleans up after one that was killed.
 */
export const taskScript = `read -r nonce own bytes layer agent keeper system machine && read -r node && read -r present || exit 70
task=$SLURM_PROCID new= base= temp= told=
say() { printf '%s %s %s\\n' "$nonce" "$task" "$*"; }
unfit() { say unfit "$*"; exit 69; }
clean() {
  [ -z "$new" ] || rm -rf "$new"
  [ -z "$base" ] || rm -rf "$base" "$temp" "$temp-spool"
}
trap clean EXIT
trap 'exit 143' TERM HUP INT
say here "$SLURM_JOB_ID" "$SLURMD_NODENAME"
[ "$(uname -s)" = "$system" ] && [ "$(uname -m)" = "$machine" ] || unfit "is $(uname -s) $(uname -m), not $system $machine as the launcher's machine"
[ -x "$node" ] || node=$(command -v node) || unfit "has no Node on its PATH"
version=$("$node" --version 2>&1)
case $version in
v20.19.* | v20.[2-9][0-9].* | v2[1-9].* | v[3-9][0-9].*) ;;
*) unfit "has Node $version at $node, which is older than 20.19" ;;
esac
cache=\${XDG_CACHE_HOME:-\${HOME:-/}/.cache}
if ! (umask 077 && mkdir -p "$cache/gangflow/runtime") 2>/dev/null || [ ! -w "$cache/gangflow/runtime" ]; then
  cache=\${TMPDIR:-/tmp}/gangflow-$(id -u)
  (umask 077 && mkdir -p "$cache/gangflow/runtime") 2>/dev/null && [ -O "$cache" ] && [ ! -h "$cache" ] || unfit "has no folder for what is sent to it: neither ~/.cache nor $cache can be written"
  export XDG_CACHE_HOME="$cache"
fi
runtime=$cache/gangflow/runtime
whole() { (cd "$runtime" && eval "$present"); }
if whole; then
  head -c "$bytes" >/dev/null
else
  new=$(umask 077 && mktemp -d "$runtime/.new-XXXXXX") || unfit "cannot write $runtime"
  head -c "$bytes" | tar -x -z -f - -C "$new" && mkdir "$new/compiled" || unfit "could not unpack what it was sent into $runtime"
  whole || { rm -rf "$runtime/$layer"; mv "$new" "$runtime/$layer" 2>/dev/null; }
  rm -rf "$new" "$runtime/$layer"/.new-*
  new=
  whole || unfit "has not the whole of $layer in $runtime after it was sent"
  find "$runtime" -mindepth 1 -maxdepth 1 -mtime +${KEPT_DAYS} -exec rm -rf {} + 2>/dev/null
fi
for parent in "\${XDG_RUNTIME_DIR:-}" /tmp "\${TMPDIR:-}"; do
  [ -n "$parent" ] && [ -w "$parent" ] && base=$(umask 077 && mktemp -d "$parent/gf-XXXXXX" 2>/dev/null) && break
done
[ -n "$base" ] || unfit "has no directory for sockets: /tmp cannot be written"
temp=\${TMPDIR:-/tmp}/gangflow-\${base##*/}
mkdir -m 700 "$temp-spool" || unfit "cannot write \${TMPDIR:-/tmp}"
say place "$temp-spool"
exec 3<&0
# What a shell starts in the background has no stdin of its own accord.
GANGFLOW_KEEPER=$runtime/$keeper "$node" "$runtime/$agent" "$runtime/$layer/compiled" allocated "$base" "$temp" <&3 3<&- &
child=$!
exec 3<&-
trap 'told=1; kill -TERM "$child" 2>/dev/null' TERM HUP INT
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
say ended "$code"
# A controller that is away cannot be told by srun that the job is over, and would keep its nodes for ever: it is waited for.
deaf() { case $1 in ${silences.map((text) => `*'${text.slice(1)}'*`).join(' | ')}) ;; *) return 1 ;; esac; }
over() {
  trap '' TERM HUP INT
  while deaf "$(scancel "$SLURM_JOB_ID" 2>&1)"; do sleep ${AGAIN_S}; done
}
if [ "$code" -eq 0 ]; then
  [ "$own $task" != 'yes 0' ] || ! deaf "$(squeue -h --jobs="$SLURM_JOB_ID" 2>&1)" || over
  exit 0
fi
[ ! -s "$base/undo.jsonl" ] || "$node" "$runtime/$agent" "$runtime/$layer/compiled" undo "$base" >&2
# Of one that was killed somebody may yet bring what was said last; who has lost the launcher has nobody to bring it to.
if [ "$code" -gt 128 ] && [ -z "$told" ] && [ -n "$(find "$temp-spool" -type f -size +0 2>/dev/null)" ]; then
  sleep ${LEFT_S} &
  child=$!
  wait "$child"
  kill "$child" 2>/dev/null
fi
# Where srun was killed, or its machine has gone, nobody else says that the job is over.
[ "$own" = no ] || "$node" -e '${srunLives}' "$SLURM_SRUN_COMM_HOST" "$SLURM_SRUN_COMM_PORT" || over
exit "$code"
`

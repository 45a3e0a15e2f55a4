import { quoted } from '../../errors/shell-word.js'
import { cpusScript } from './cpus-script.js'

/** Days for which a layer of a runtime is kept that no run has used. */
const KEPT_DAYS = 30

/** What the script on the host is told. */
export interface ScriptFacts {
  /** Begins each line that is ours: a login shell may print what it likes. */
  readonly nonce: string
  readonly workdir?: string | undefined
  readonly node?: string | undefined
  /** Socket on the host that OpenSSH forwards to the launcher; removed with the session, as are those beside it (aside.ts). */
  readonly socket?: string | undefined
}

/** What is done at the end of a session: `clean`, over the variables of the script. */
export const cleanFunction = (
  socket: string | undefined,
): string => `# What a log still waits in stays; the agents' own output and what is empty goes.
clean() {
  ${socket === undefined ? '' : `rm -f ${socket} ${socket.replace(/\.sock$/, '')}-*.sock`}
  [ -z "$new" ] || rm -rf "$new" 2>/dev/null || { sleep 1; rm -rf "$new"; }
  [ -z "$run" ] || rm -rf "$run" "$temp/\${run##*/}"-*
  [ -n "$spool" ] || return 0
  rm -f "$spool"/*/agent-*.spool "$spool"/*/undo-*.spool
  rmdir "$spool"/* 2>/dev/null
  cd "$work/spool" && rmdir -p "$mark" 2>/dev/null
}`

/**
 * The script that `sh -s` runs on a host (POSIX sh, coreutils or busybox). It tells what the host has, then obeys
 * lines from the launcher: `check COMMAND` says whether a layer of the runtime is there, `receive` makes a folder that
 * another connection fills, `keep LAYER COMMAND` gives that its name unless COMMAND finds a whole one there, and `start
 * KEEPER MARK LEASE GRACE MEMBER…` makes the directories and becomes the parent of the host's keeper, which speaks on
 * the same two pipes.
 * Read whole before it runs, since what follows on stdin is no script any more.
 */
export function startScript({ nonce, workdir, node, socket }: ScriptFacts): string {
  return `gangflow() {
set -u
new= run= spool= temp=
${cleanFunction(socket)}
trap clean EXIT
trap 'exit 143' HUP TERM PIPE
say() { printf '%s %s\\n' ${quoted(nonce)} "$*"; }
work=${workdir?.startsWith('~/') ? `$HOME/${quoted(workdir.slice(2))}` : quoted(workdir ?? '')}
[ -n "$work" ] || work=\${XDG_CACHE_HOME:-$HOME/.cache}/gangflow
node=${quoted(node ?? '')}
[ -n "$node" ] || node=$(command -v node || :)
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=
for loader in /lib/ld-musl-*; do
  [ -n "$libc" ] || [ ! -e "$loader" ] || libc=musl
done
for loader in /lib64/ld-linux-* /lib/ld-linux-* /lib/*/ld-linux-*; do
  [ -n "$libc" ] || [ ! -e "$loader" ] || libc=glibc
done
set -- $(uname -snrm)
say os "$1"
say name "$2"
say kernel "$3"
say arch "$4"
say libc "$libc"
say uid "$(id -u)"
${cpusScript}
say cpus "$cpus"
gpus=
for device in /dev/nvidia[0-9]*; do [ ! -e "$device" ] || gpus="$gpus \${device#/dev/nvidia}"; done
say gpus "$gpus"
say peer "\${SSH_CONNECTION:-}"
say work "$work"
say runtime "$work/runtime"
say node "$node"
[ -z "$node" ] || say version "$("$node" --version 2>&1)"
say env "$(env -0 2>/dev/null | od -An -v -tx1 | tr -d ' \\n')"
say told
runtime=$work/runtime
while read -r verb rest; do
  case $verb in
  check)
    if (eval "$rest"); then say have; else say lack; fi
    continue ;;
  receive)
    new=$(umask 077; mkdir -p "$runtime" && mktemp -d "$runtime/.new-XXXXXX") || { say fault "$runtime cannot be written"; exit 73; }
    say into "$new"
    continue ;;
  keep)
    mkdir "$new/compiled" && [ -f "$new/.complete" ] || { say fault "what was sent to $new is not whole"; exit 73; }
    layer=$runtime/\${rest%% *}
    # A whole one is another run's, which may be at work in it: it stays, and what was sent goes.
    [ ! -e "$layer" ] || (eval "\${rest#* }") || rm -rf "$layer"
    mv "$new" "$layer" 2>/dev/null
    rm -rf "$new" "$layer"/.new-*
    new=
    find "$runtime" -mindepth 1 -maxdepth 1 -mtime +${KEPT_DAYS} -exec rm -rf {} + 2>/dev/null
    say kept
    continue ;;
  esac
  set -- $rest
  keeper=$runtime/$1 mark=$2 lease=$3 grace=$4
  shift 4
  spool=$work/spool/$mark temp=\${TMPDIR:-/tmp}
  for parent in "\${XDG_RUNTIME_DIR:-}" /tmp "\${TMPDIR:-}"; do
    [ -n "$parent" ] && [ -d "$parent" ] && [ -w "$parent" ] && run=$(umask 077; mktemp -d "$parent/gf-XXXXXX" 2>/dev/null) && break
    run=
  done
  [ -n "$run" ] || { say fault "no directory for sockets: /tmp cannot be written"; exit 73; }
  # Of runs whose launcher never came back for them.
  find "$work/spool" -depth -mindepth 1 -mtime +${KEPT_DAYS} ! -type d -exec rm -f {} + 2>/dev/null
  find "$work/spool" -depth -mindepth 1 -mtime +${KEPT_DAYS} -type d -exec rmdir {} + 2>/dev/null
  for member; do
    (umask 077; mkdir -p "$spool/$member" "$run/$member") || { say fault "$spool cannot be made"; exit 73; }
  done
  say run "$run"
  say temp "$temp"
  say spool "$spool"
  say ready
  cd /
  GANGFLOW_MARK=$mark "$keeper" serve "--mark=$mark" --adopt=kill "--lease-ms=$lease" "--grace-ms=$grace"
  exit
done
}
gangflow
exit
`
}

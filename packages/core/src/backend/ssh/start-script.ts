/** What the script on the host is told. */
export interface ScriptFacts {
  /** Begins each line that is ours: a login shell may print what it likes. */
  readonly nonce: string
  readonly workdir?: string | undefined
  readonly node?: string | undefined
  /** Socket on the host that OpenSSH forwards to the launcher; removed with the session. */
  readonly socket?: string | undefined
}

/**
 * The script that `sh -s` runs on a host (POSIX sh, coreutils or busybox). It tells what the host has, then obeys
 * lines from the launcher: `start HASH MARK LEASE GRACE MEMBER…` makes the directories and becomes the parent of the
 * host's keeper, which speaks on the same two pipes, or answers `need` where the runtime of that hash is not there yet;
 * `receive HASH` makes a folder for it, and `keep HASH` gives that its name.
 * Read whole before it runs, since what follows on stdin is no script any more.
 */
export function startScript({ nonce, workdir, node, socket }: ScriptFacts): string {
  return `gangflow() {
set -u
say() { printf '%s %s\\n' ${quote(nonce)} "$*"; }
work=${workdir?.startsWith('~/') ? `$HOME/${quote(workdir.slice(2))}` : quote(workdir ?? '')}
[ -n "$work" ] || work=\${XDG_CACHE_HOME:-$HOME/.cache}/gangflow
node=${quote(node ?? '')}
[ -n "$node" ] || node=$(command -v node || :)
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=
[ -n "$libc" ] || { ls /lib/ld-musl-* >/dev/null 2>&1 && libc=musl; } || :
say os "$(uname -s)"
say arch "$(uname -m)"
say libc "$libc"
say kernel "$(uname -r)"
say name "$(uname -n)"
say uid "$(id -u)"
say cpus "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)"
say gpus "$(ls /dev 2>/dev/null | sed -n 's/^nvidia\\([0-9][0-9]*\\)$/\\1/p' | sort -n | tr '\\n' ' ')"
say peer "\${SSH_CONNECTION:-}"
say work "$work"
say node "$node"
[ -z "$node" ] || say version "$("$node" --version 2>&1 | head -n 1)"
say env "$(env -0 2>/dev/null | od -An -v -tx1 | tr -d ' \\n')"
say told
while read -r verb hash mark lease grace members; do
  runtime=$work/runtime/$hash
  case $verb in
  receive)
    new=$(umask 077; mkdir -p "$work/runtime" && mktemp -d "$work/runtime/.new-XXXXXX") || { say fault "$work cannot be written"; exit 73; }
    say into "$new"
    continue ;;
  keep)
    mkdir "$new/compiled" && : > "$new/.complete" || { say fault "$new cannot be written"; exit 73; }
    [ -f "$runtime/.complete" ] || { rm -rf "$runtime"; mv "$new" "$runtime" 2>/dev/null; }
    rm -rf "$new"
    say kept
    continue ;;
  esac
  [ -f "$runtime/.complete" ] || { say need; continue; }
  spool=$work/spool/$mark
  run=
  for parent in "\${XDG_RUNTIME_DIR:-}" /tmp "\${TMPDIR:-}"; do
    [ -n "$parent" ] && [ -d "$parent" ] && [ -w "$parent" ] && run=$(umask 077; mktemp -d "$parent/gf-XXXXXX" 2>/dev/null) && break
    run=
  done
  [ -n "$run" ] || { say fault "no directory for sockets: /tmp cannot be written"; exit 73; }
  temp=\${TMPDIR:-/tmp}
  # What a log still waits in stays; the agents' own output and what is empty goes.
  trap 'rm -rf "$run"${socket === undefined ? '' : ` ${socket}`}; rm -f "$spool"/*/agent-*.spool "$spool"/*/undo-*.spool; rmdir "$spool"/* 2>/dev/null; cd "$work/spool" && rmdir -p "$mark" 2>/dev/null' EXIT
  for member in $members; do
    (umask 077; mkdir -p "$spool/$member" "$run/$member") || { say fault "$spool cannot be made"; exit 73; }
  done
  say run "$run"
  say temp "$temp"
  say spool "$spool"
  say runtime "$runtime"
  say ready
  cd /
  GANGFLOW_MARK=$mark "$runtime/keeper" serve "--mark=$mark" --adopt=kill "--lease-ms=$lease" "--grace-ms=$grace"
  exit
done
}
gangflow
exit
`
}

/** A word of a POSIX shell. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** `$0` is the interpreter that was asked for, or `-`. */
const script = `p=$0
if [ "$p" = - ]; then
  p=\${GANGFLOW_PYTHON:-}
  [ -z "$p" ] && [ -x "\${VIRTUAL_ENV:-/none}/bin/python" ] && p=$VIRTUAL_ENV/bin/python
  d=$PWD
  while [ -z "$p" ]; do
    [ -x "\${d%/}/.venv/bin/python" ] && p=\${d%/}/.venv/bin/python
    [ "\${d:-/}" = / ] && break
    d=\${d%/*}
  done
  p=\${p:-$(command -v python3 || command -v python)}
fi
[ -n "$p" ] || { echo 'gangflow: there is no python3 on PATH' >&2; exit 127; }
case $p in */*) PATH=\${p%/*}:$PATH; export PATH ;; esac
exec "$p" "$@"`

/**
 * The first words of a command that starts Python on any member, whatever it is there: as asked, else `GANGFLOW_PYTHON`
 * (`python=` in a hosts file), the active virtual environment, the nearest `.venv` at or above the working directory,
 * `python3` or `python` on PATH. The interpreter's folder comes first on PATH. Exit code 127: there is none.
 */
export function memberPython(asked?: string | readonly string[]): string[] {
  const [first = '-', ...options] = typeof asked === 'string' ? [asked] : (asked ?? [])
  return ['/bin/sh', '-c', script, first, ...options]
}

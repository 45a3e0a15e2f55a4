/**
 * Shell (POSIX) that leaves in `cpus` how many a process of this session may use at once: by affinity, and by the
 * narrowest quota of its cgroups (rounded up), of which nproc knows nothing. As `errors/cpus.ts` for this machine.
 */
export const cpusScript = `cpus=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
narrow() {
  case \${1-}:\${2-} in *[!0-9:]* | :* | *: | *:0) return ;; esac
  set -- $((($1 + $2 - 1) / $2))
  [ "$1" -ge "$cpus" ] || [ "$1" -eq 0 ] || cpus=$1
}
quotas() {
  at=$2
  while :; do
    group=/sys/fs/cgroup$1$at
    [ ! -r "$group/cpu.max" ] || narrow $(cat "$group/cpu.max")
    [ ! -r "$group/cpu.cfs_quota_us" ] || narrow $(cat "$group/cpu.cfs_quota_us" "$group/cpu.cfs_period_us")
    case $at in '' | /) break ;; esac
    at=\${at%/*}
  done
}
quotas '' "$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null)"
quotas /cpu "$(sed -n 's/^[0-9]*:\\([^:]*,\\)*cpu\\(,[^:]*\\)*://p' /proc/self/cgroup 2>/dev/null)"`

# Process 1 of a set of test hosts, in network, mount and PID namespaces of its own. Its end is the end of every process
# of every host, of the bridge and of all cables: the kernel sees to that, also after a kill -9.
# Arguments: the set's folder, then the names of the hosts. Input: whoever holds it open wants the set to live.
set -eu
dir=$1
shift
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/netns
# Nobody speaks IP here: this is the switch.
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
for name in "$@"; do ip netns add "$name"; done
ip -batch "$dir/set.batch"
for name in "$@"; do
  ip -n "$name" -batch "$dir/hosts/$name.batch"
  {
    nsenter --net="/run/netns/$name" unshare --mount --pid --uts --ipc --fork --kill-child \
      sh "$dir/host.sh" "$dir" "$name" || true
    echo "ended $name"
  } &
done
echo ready
cat > /dev/null
kill -9 -1 || true
rm -rf "$dir"

# Process 1 of a test host: makes its file system, enters it and becomes its sshd (which reaps whatever is orphaned), or
# where it has none a shell that does so.
# Arguments: the set's folder, the host's name. Reads the folder's `settings`: disk, shm (MiB), user, sshd; `show`; `hide`.
set -eu
umask 022
dir=$1 name=$2
. "$dir/settings"
hostname "$name"
root=$dir/root
mount -t tmpfs -o "size=${disk}m,mode=755" disk "$root"
cd "$root"
mkdir -p .old .etc usr etc dev proc sys run tmp var/tmp var/log var/empty root mnt opt home/"$user"
for part in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$part" ]; then cp -P "/$part" .; elif [ -d "/$part" ]; then
    mkdir "$part"
    mount -o bind,ro "/$part" "$part"
  fi
done
mount -o bind,ro /usr usr
mount -o bind,ro /etc .etc
# The machine's /etc by links, so that each host has files of its own where it differs; they lead there before and after.
for path in .etc/*; do ln -s "../$path" etc/; done
rm -f etc/hosts etc/hostname etc/resolv.conf etc/nsswitch.conf etc/passwd* etc/group* etc/shadow* etc/gshadow* etc/ssh
cp -a "$dir/hosts/$name/." .
while IFS= read -r path; do
  [ -n "$path" ] || continue
  if [ -d "$path" ]; then mkdir -p ".$path"; else
    mkdir -p ".${path%/*}"
    : > ".$path"
  fi
  mount -o bind,ro "$path" ".$path"
done < "$dir/show"
while IFS= read -r path; do
  if [ -d ".$path" ]; then mount -t tmpfs -o size=64k,mode=755 hidden ".$path"; elif [ -e ".$path" ]; then
    mount -o bind,ro "$dir/nothing" ".$path"
  fi
done < "$dir/hide"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o size=16m,mode=755 run run
mount -t tmpfs -o size=64k,mode=755 dev dev
mkdir -p dev/pts dev/shm run/sshd run/lock
for device in null zero full random urandom tty; do
  : > "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o "size=${shm}m,mode=1777" shm dev/shm
chmod 1777 tmp var/tmp run/lock
pivot_root . .old
cd /
umount -l .old
rmdir .old
echo "up $name"
[ "$sshd" = yes ] || exec env -i PATH=/usr/bin:/bin bash -c 'sleep infinity & wait' < /dev/null > /dev/null 2>&1
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/sbin/sshd -D -e < /dev/null > /dev/null 2> /var/log/sshd.log

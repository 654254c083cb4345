#!/bin/busybox sh
# The guest's first process: makes the machine that the tests expect, runs /command, says how it
# ended (see console.rs), and powers off.
/bin/busybox --install -s /bin
export PATH=/sbin:/bin HOME=/root TERM=dumb

mount -t proc proc /proc
mount -t sysfs sysfs /sys
# The kernel has done so already where it was built to (CONFIG_DEVTMPFS_MOUNT).
grep -q "^devtmpfs /dev " /proc/mounts || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
[ -e /dev/ptmx ] || ln -s pts/ptmx /dev/ptmx
echo "127.0.0.1 localhost" >/etc/hosts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
for folder in /tmp /run /var /root; do
    # The checkout's files may lie below one of them.
    [ -n "$(ls -A $folder)" ] || mount -t tmpfs tmpfs $folder
done
mkdir -p /var/lib /var/run

hostname injector-vm
ip link set lo up
for module in /modules/*.ko; do
    if [ -e "$module" ]; then insmod "$module"; fi
done

echo "injector-vm: begin $(uname -r)"
/bin/sh /command
echo "injector-vm: exit $?"
poweroff -f

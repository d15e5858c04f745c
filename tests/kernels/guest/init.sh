#!/bin/busybox sh
# First process of the guest: mounts, modules, then the guest program. The kernel's messages are on the first serial
# line, the program's report is on the second. It powers off at the end, whatever happened.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root DENO_DIR=/tmp/deno DENO_NO_UPDATE_CHECK=1 NO_COLOR=1

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run

for module in /modules/*.ko; do
	insmod "$module" || echo "init: cannot load $module"
done

stty -F /dev/ttyS1 raw
cd /retina || poweroff -f
deno run -A --no-check --no-prompt --cached-only tests/kernels/guest/main.ts >/dev/ttyS1
echo "init: guest program exited with $?"
poweroff -f

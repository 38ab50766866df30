# Gives a mount namespace a /dev of its own: the machine's, but for /dev/fuse, which has the
# mode that FUSE says, or is not there if that is "none". Needs root, a namespace of its own
# (unshare -m) and any directory DIR, where nothing is left.
# Overlays do not stack without end: one of an outer namespace is taken away first.
while grep -q "^devices /dev overlay " /proc/mounts; do umount -l /dev; done
mount -t tmpfs -o mode=755 devices "$DIR"
mkdir "$DIR/machine" "$DIR/upper" "$DIR/work"
mount --rbind /dev "$DIR/machine"
mount -t overlay -o "lowerdir=/dev,upperdir=$DIR/upper,workdir=$DIR/work" devices /dev
for d in pts shm mqueue hugepages; do
  if mountpoint -q "$DIR/machine/$d"; then mount --rbind "$DIR/machine/$d" "/dev/$d"; fi
done
umount -l "$DIR"
rm -f /dev/fuse
if [ "$FUSE" != none ]; then mknod -m "$FUSE" /dev/fuse c 10 229; fi

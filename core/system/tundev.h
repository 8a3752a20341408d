/* Opening /dev/net/tun after privileges were given up. */
#ifndef CORE_TUNDEV_H
#define CORE_TUNDEV_H

/* Where only root may open the device (udev makes it everybody's, containers often do not), keeps descriptors of it that
 * are not attached to anything yet. Before privileges go. */
void vd_tundev_keep(void);
/* A descriptor of the device, not attached, non-blocking, close-on-exec: opened now, or one that was kept. -errno. */
int vd_tundev_open(void);
/* Closes what was kept and not used. */
void vd_tundev_fini(void);

#endif

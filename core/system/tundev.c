/* Opening /dev/net/tun after privileges were given up. */
#include <config.h>

#include "core/system/tundev.h"

#include <viaduct/datapath.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE "/dev/net/tun"

/* One for each queue of one device, and a few for probing what the kernel can do. */
static int kept[VD_MAX_WORKERS + 8];
static unsigned n_kept;

static int open_device(void)
{
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void vd_tundev_keep(void)
{
	struct stat st;
	int fd;

	if (stat(DEVICE, &st) < 0 || (st.st_mode & 06) == 06)
		return;
	while (n_kept < sizeof(kept) / sizeof(kept[0]) && (fd = open_device()) >= 0)
		kept[n_kept++] = fd;
}

int vd_tundev_open(void)
{
	int fd = open_device();

	if ((fd == -EACCES || fd == -EPERM) && n_kept > 0)
		fd = kept[--n_kept];
	return fd;
}

void vd_tundev_fini(void)
{
	while (n_kept > 0)
		close(kept[--n_kept]);
}

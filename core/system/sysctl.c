/* Kernel settings and their journal: one line "name found set" for each that was changed, on disk before the change. */
#include <config.h>

#include "core/system/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX 64

static char *journal; /* path; NULL: not initialised */

/* fd < 0 stands for an open that failed. Returns the length, without the newline at the end. */
static int read_value(const char *name, char value[VALUE_MAX])
{
	char path[256];
	ssize_t n;
	int fd;

	vd_format(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, value, VALUE_MAX - 1);
	if (n < 0)
		n = -errno;
	if (fd >= 0)
		close(fd);
	if (n >= 0)
		value[n > 0 && value[n - 1] == '\n' ? n - 1 : n] = '\0';
	return (int)n;
}

static int write_value(const char *name, const char *value)
{
	char path[256];
	int fd, ret = 0;

	vd_format(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Names and values are words; a name stays below /proc/sys. */
static bool word_ok(const char *s)
{
	return *s && *s != '/' && !strstr(s, "..") && strlen(s) < VALUE_MAX &&
		strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") == strlen(s);
}

static int journal_add(const char *line)
{
	int fd = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), ret = 0, dir;
	char *slash, parent[256];

	if (fd < 0)
		return -errno;
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line) || fsync(fd) < 0)
		ret = errno ? -errno : -EIO;
	close(fd);
	vd_strcpy(parent, sizeof(parent), journal);
	slash = strrchr(parent, '/');
	if (slash && slash != parent)
		*slash = '\0';
	dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* the file's name must be there after a crash, too */
	if (dir < 0 || fsync(dir) < 0)
		ret = ret < 0 ? ret : -errno;
	if (dir >= 0)
		close(dir);
	return ret;
}

/* A kernel that begins to forward forgets at once what routers advertised to it, and with that the host's way out, except on
 * interfaces whose accept_ra is 2. So those that have a default route of that kind get it first. */
static int keep_default_routes(struct vd_error *err)
{
	enum { DEFAULT = 0x10000, ADVERTISED = 0x40000 }; /* RTF_DEFAULT, RTF_ADDRCONF of linux/ipv6_route.h */
	char line[256], dev[32], name[VALUE_MAX], found[VALUE_MAX];
	FILE *f = fopen("/proc/net/ipv6_route", "re");
	unsigned flags;
	int ret = 0;

	while (f && ret == 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %x %31s", &flags, dev) != 2 ||
			(flags & (DEFAULT | ADVERTISED)) != (DEFAULT | ADVERTISED))
			continue;
		vd_format(name, sizeof(name), "net/ipv6/conf/%s/accept_ra", dev);
		if (read_value(name, found) >= 0 && strcmp(found, "1") == 0)
			ret = vd_sysctl_set(name, "2", err);
	}
	if (f)
		fclose(f);
	return ret;
}

int vd_sysctl_set(const char *name, const char *value, struct vd_error *err)
{
	char found[VALUE_MAX], line[3 * VALUE_MAX + 4];
	int ret;

	if (!journal || !word_ok(name) || !word_ok(value))
		return vd_error_set(err, -EINVAL, "cannot set sysctl %s to %s", name, value);
	ret = read_value(name, found);
	if (ret >= 0 && strcmp(found, value) == 0)
		return 0;
	if (ret >= 0 && !strcmp(name, "net/ipv6/conf/all/forwarding") && !strcmp(value, "1") && keep_default_routes(err) < 0)
		return err->code;
	if (ret >= 0 && !word_ok(found))
		ret = -EINVAL;
	if (ret >= 0) {
		vd_format(line, sizeof(line), "%s %s %s\n", name, found, value);
		ret = journal_add(line);
		if (ret < 0)
			return vd_error_set(err, ret, "cannot write %s, so %s was not changed: %s", journal, name, strerror(-ret));
		ret = write_value(name, value);
	}
	return ret < 0 ? vd_error_set(err, ret, "cannot set sysctl %s to %s: %s", name, value, strerror(-ret)) : 0;
}

int vd_sysctl_restore(struct vd_error *err)
{
	char lines[64][3 * VALUE_MAX + 4], name[VALUE_MAX], found[VALUE_MAX], set[VALUE_MAX], now[VALUE_MAX];
	FILE *f = journal ? fopen(journal, "re") : NULL;
	size_t n = 0;
	int ret = 0, r;

	if (!f)
		return !journal || errno == ENOENT ? 0 : vd_error_set(err, -errno, "cannot read %s: %s", journal, strerror(errno));
	while (n < VD_ARRAY_SIZE(lines) && fgets(lines[n], sizeof(lines[n]), f))
		n++;
	fclose(f);
	while (n-- > 0) { /* the latest change first */
		/* A torn last line after a crash names a change that was not made. */
		if (sscanf(lines[n], "%63s %63s %63s", name, found, set) != 3 || !strchr(lines[n], '\n') || !word_ok(name))
			continue;
		if (read_value(name, now) < 0 || strcmp(now, set) != 0)
			continue; /* gone, or changed by somebody else since */
		r = write_value(name, found);
		if (r < 0)
			ret = vd_error_set(err, r, "cannot restore sysctl %s to %s: %s", name, found, strerror(-r));
	}
	if (ret == 0 && unlink(journal) < 0 && errno != ENOENT)
		ret = vd_error_set(err, -errno, "cannot remove %s: %s", journal, strerror(errno));
	return ret;
}

int vd_sysctl_init(const char *statedir)
{
	vd_sysctl_fini();
	if (asprintf(&journal, "%s/sysctl.journal", statedir) < 0) {
		journal = NULL;
		return -ENOMEM;
	}
	return 0;
}

void vd_sysctl_fini(void)
{
	free(journal);
	journal = NULL;
}

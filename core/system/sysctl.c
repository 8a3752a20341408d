/* Kernel settings. They are an exact list, and none is put back: a host that forwards for us may forward for others by then
 * (containers, virtual machines, another VPN), and nothing tells. So no file remembers what was found, and no file is believed. */
#include <config.h>

#include "core/system/sysctl.h"

#include <viaduct/log.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX 64

/* "*": the name of an interface. */
static const struct {
	const char *name, *value;
} allowed[] = {
	{ "net/ipv4/ip_forward", "1" },
	{ "net/ipv6/conf/all/forwarding", "1" },
	{ "net/ipv6/conf/*/accept_ra", "2" }, /* without it a host that forwards loses its own default route */
};

/* What we changed, to be said at the end. A few: what does not fit is changed and not said. */
static struct {
	char name[VALUE_MAX], found[VALUE_MAX], set[VALUE_MAX];
} changed[16];
static size_t n_changed;

/* Returns the length, without the newline at the end. */
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

/* As the kernel names interfaces; "all" and "default" are not one. */
static bool interface_ok(const char *s, size_t len)
{
	static const char *const not[] = { "all", "default", ".", ".." };

	for (size_t i = 0; i < VD_ARRAY_SIZE(not); i++)
		if (strlen(not[i]) == len && strncmp(s, not[i], len) == 0)
			return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '/')
			return false;
	return len > 0 && len < IFNAMSIZ;
}

static bool name_fits(const char *pattern, const char *name)
{
	const char *star = strchr(pattern, '*');
	size_t head = star ? (size_t)(star - pattern) : strlen(pattern), tail = star ? strlen(star + 1) : 0, len = strlen(name);

	if (!star)
		return strcmp(pattern, name) == 0;
	return len > head + tail && strncmp(pattern, name, head) == 0 && strcmp(star + 1, name + len - tail) == 0 &&
		interface_ok(name + head, len - head - tail);
}

static bool may_set(const char *name, const char *value)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(allowed); i++)
		if (strcmp(value, allowed[i].value) == 0 && name_fits(allowed[i].name, name))
			return true;
	return false;
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

static void remember(const char *name, const char *found, const char *value)
{
	size_t i = 0;

	while (i < n_changed && strcmp(changed[i].name, name) != 0)
		i++;
	if (i < n_changed || n_changed == VD_ARRAY_SIZE(changed))
		return; /* what was found first is what counts */
	vd_strcpy(changed[i].name, VALUE_MAX, name);
	vd_strcpy(changed[i].found, VALUE_MAX, found);
	vd_strcpy(changed[i].set, VALUE_MAX, value);
	n_changed++;
}

int vd_sysctl_set(const char *name, const char *value, struct vd_error *err)
{
	char found[VALUE_MAX];
	int ret;

	if (!may_set(name, value))
		return vd_error_set(err, -EPERM, "cannot set sysctl %s to %s: it is not one of those that viaductd may change", name, value);
	ret = read_value(name, found);
	if (ret >= 0 && strcmp(found, value) == 0)
		return 0;
	if (ret >= 0 && !strcmp(name, "net/ipv6/conf/all/forwarding") && keep_default_routes(err) < 0)
		return err->code;
	if (ret >= 0)
		ret = write_value(name, value);
	if (ret < 0)
		return vd_error_set(err, ret, "cannot set sysctl %s to %s: %s", name, value, strerror(-ret));
	remember(name, found, value);
	return 0;
}

void vd_sysctl_end(void)
{
	char now[VALUE_MAX];

	for (size_t i = 0; i < n_changed; i++)
		if (read_value(changed[i].name, now) >= 0 && strcmp(now, changed[i].set) == 0)
			vd_log(VD_LOG_NOTICE, "priv", NULL, "%s stays %s (it was %s): others may rely on it by now; to undo it: sysctl -w %s=%s",
				changed[i].name, changed[i].set, changed[i].found, changed[i].name, changed[i].found);
	n_changed = 0;
}

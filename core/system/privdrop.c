/* Giving privileges up: user, capabilities, no_new_privs, dumpable. Capabilities by the system calls themselves. */
#include <config.h>

#include "core/system/place.h"
#include "core/system/priv.h"
#include "core/system/tundev.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint8_t kept[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE };
#define KEPT_MASK (1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW | 1u << CAP_NET_BIND_SERVICE) /* all are below 32 */

static int find_user(const char *user, struct passwd **ret_pw, struct vd_error *err)
{
	struct passwd *pw = getpwnam(user);

	if (!pw)
		return vd_error_set(err, -ENOENT,
			"there is no user %s to run as; make it with \"useradd --system %s\", or name another in gateway.user", user, user);
	if (pw->pw_uid == 0)
		return vd_error_set(err, -EPERM, "the user to run as must not be root; see gateway.user");
	*ret_pw = pw;
	return 0;
}

/* A folder that is there or is made, of mode 0750; never through a link that is not root's. As root it is owner's and pw's group's
 * when we made it. One that is there is nobody's to give away: it must be pw's, or stay root's where owner is root. */
static int folder(const struct vd_place *at, const char *dir, const struct passwd *pw, uid_t owner, struct vd_error *err)
{
	bool made = mkdirat(at->dir, at->name, 0750) == 0;
	struct stat st;
	int fd, ret = 0;

	if (!made && errno != EEXIST)
		return vd_error_set(err, -errno, "cannot make %s: %s", dir, strerror(errno));
	fd = openat(at->dir, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		ret = vd_error_set(err, -errno, "cannot use %s: %s", dir, strerror(errno));
	else if (pw && st.st_uid != 0 && st.st_uid != pw->pw_uid)
		ret = vd_error_set(err, -EPERM, "%s belongs to user %u; do: chown %s %s", dir, (unsigned)st.st_uid, pw->pw_name, dir);
	else if (pw && st.st_uid == 0 && !made && owner != 0)
		ret = vd_error_set(err, -EPERM, "%s is there and belongs to root; if it is for viaductd alone, do: chown %s %s; else name one that is "
			"missing", dir, pw->pw_name, dir);
	else if (pw && made && st.st_uid == 0 && (fchown(fd, owner, pw->pw_gid) < 0 || fchmod(fd, 0750) < 0))
		ret = vd_error_set(err, -errno, "cannot give %s to user %s: %s", dir, pw->pw_name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

static int own(const char *dir, const char *user, bool roots, struct vd_error *err)
{
	struct passwd *pw = NULL;
	struct vd_place at;
	int ret = geteuid() == 0 ? find_user(user, &pw, err) : 0;

	if (ret == 0)
		ret = vd_place_find(dir, &at, err);
	if (ret < 0)
		return ret;
	if (pw && !at.safe && faccessat(at.dir, at.name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		ret = vd_error_set(err, -EPERM, "cannot make %s: user %u could lead root elsewhere from there; make it yourself, or use a folder "
			"that belongs to root, and so does each above it", dir, at.other);
	else
		ret = folder(&at, dir, pw, pw && !roots ? pw->pw_uid : 0, err);
	close(at.dir);
	return ret;
}

int vd_priv_own(const char *dir, const char *user, struct vd_error *err)
{
	return own(dir, user, false, err);
}

int vd_priv_run(const char *dir, const char *user, struct vd_error *err)
{
	return own(dir, user, true, err);
}

static int set_caps(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { { KEPT_MASK, KEPT_MASK, KEPT_MASK }, { 0, 0, 0 } };

	if (syscall(SYS_capset, &header, caps) < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(kept); i++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0) < 0)
			return -errno;
	return 0;
}

/* Needs CAP_SETPCAP; without it (started with ambient capabilities) the service manager has the say. */
static void trim_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!memchr(kept, cap, sizeof(kept)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

int vd_priv_drop(const char *user, struct vd_error *err)
{
	struct passwd *pw;
	int ret;

	if (geteuid() == 0) {
		ret = find_user(user, &pw, err);
		if (ret < 0)
			return ret;
		trim_bounding_set();
		vd_tundev_keep();
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || initgroups(user, pw->pw_gid) < 0 ||
			setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 || setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
			return vd_error_set(err, -errno, "cannot become user %s: %s", user, strerror(errno));
	}
	ret = set_caps();
	if (ret < 0)
		return vd_error_set(err, ret, "cannot keep CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE: %s; start as root, "
			"or with these as ambient capabilities", strerror(-ret));
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return vd_error_set(err, -errno, "cannot give up privileges: %s", strerror(errno));
	if (setuid(0) == 0 || geteuid() == 0)
		return vd_error_set(err, -EPERM, "privileges were given up, but could be taken back; refusing to run");
	return 0;
}

/* Walking a path one folder at a time, holding each, so that what was looked at is what is opened. */
#include "core/system/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40

struct walk {
	int dir;
	bool safe;
	unsigned other;
	unsigned links;
	char rest[2 * PATH_MAX];
};

static bool trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* Notes whether others may change what is in this folder. */
static void look(struct walk *w, const struct stat *st)
{
	/* A group of one, as Debian makes for each user, has the owner's number. */
	bool others = (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != 0 && st->st_gid != st->st_uid);

	if (trusted(st->st_uid) && (!others || (st->st_mode & S_ISVTX)))
		return;
	if (w->safe)
		w->other = st->st_uid;
	w->safe = false;
}

static int enter(struct walk *w, const char *name)
{
	int fd = openat(w->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return -EIO;
	}
	if (w->dir >= 0)
		close(w->dir);
	w->dir = fd;
	look(w, &st);
	return 0;
}

static int begin(struct walk *w)
{
	if (w->dir >= 0)
		close(w->dir);
	w->dir = -1;
	return enter(w, "/");
}

/* The link's text takes the place of its name. Only a link that root made, or we, where nobody else could put one. */
static int follow(struct walk *w, const char *name, const struct stat *st, const char *path, struct vd_error *err)
{
	char target[PATH_MAX], joined[sizeof(w->rest)];
	ssize_t n;

	if (!w->safe || !trusted(st->st_uid))
		return vd_error_set(err, -ELOOP, "%s: %s is a link that user %u could have put there; replace it by what it leads to, in a "
			"folder of root's", path, name, w->safe ? (unsigned)st->st_uid : w->other);
	n = readlinkat(w->dir, name, target, sizeof(target) - 1);
	if (n <= 0 || ++w->links > LINKS_MAX)
		return vd_error_set(err, -ELOOP, "%s: too many links", path);
	target[n] = '\0';
	if (vd_format(joined, sizeof(joined), "%s/%s", target, w->rest) >= sizeof(joined) - 1)
		return vd_error_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	vd_strcpy(w->rest, sizeof(w->rest), joined);
	return target[0] == '/' ? begin(w) : 0;
}

/* The first name of what is left. False: none, or too long. */
static bool next(struct walk *w, char name[NAME_MAX + 1])
{
	size_t skip = strspn(w->rest, "/"), n = strcspn(w->rest + skip, "/");

	if (n > NAME_MAX)
		return false;
	memcpy(name, w->rest + skip, n);
	name[n] = '\0';
	skip += n + strspn(w->rest + skip + n, "/");
	memmove(w->rest, w->rest + skip, strlen(w->rest + skip) + 1);
	return n > 0;
}

int vd_place_find(const char *path, struct vd_place *ret, struct vd_error *err)
{
	struct walk w = { .dir = -1, .safe = true };
	char cwd[PATH_MAX] = "";
	struct stat st;
	int r = -ENAMETOOLONG;

	ret->dir = -1;
	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return vd_error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (vd_format(w.rest, sizeof(w.rest), "%s/%s", cwd, path) < sizeof(w.rest) - 1)
		r = begin(&w);
	while (r == 0) {
		if (!next(&w, ret->name)) {
			r = -EISDIR; /* only slashes were left */
			break;
		}
		if (fstatat(w.dir, ret->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		if (r == 0 && S_ISLNK(st.st_mode)) {
			r = follow(&w, ret->name, &st, path, err);
			if (r < 0) {
				close(w.dir);
				return r;
			}
			continue;
		}
		if (!w.rest[0] && strcmp(ret->name, ".") != 0 && strcmp(ret->name, "..") != 0) {
			r = r == -ENOENT ? 0 : r; /* it may be made */
			break;
		}
		if (r == 0)
			r = enter(&w, ret->name);
		if (r == 0 && !w.rest[0])
			vd_strcpy(w.rest, sizeof(w.rest), "."); /* "x/..": the folder itself, under a name that is no link */
		if (r == 0 && !strcmp(w.rest, ".")) {
			vd_strcpy(ret->name, sizeof(ret->name), ".");
			break;
		}
	}
	if (r < 0) {
		if (w.dir >= 0)
			close(w.dir);
		return vd_error_set(err, r, "%s: %s", path, strerror(-r));
	}
	ret->dir = w.dir;
	ret->safe = w.safe;
	ret->other = w.other;
	return 0;
}

/* What is open may be used? */
static int judge(int fd, const char *path, const struct vd_place *at, bool writing, struct vd_error *err)
{
	struct stat st, dir;
	bool root = geteuid() == 0;

	if (fstat(fd, &st) < 0 || fstat(at->dir, &dir) < 0)
		return vd_error_set(err, -EIO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return vd_error_set(err, -EINVAL, "%s is not a file", path);
	if (root && st.st_nlink > 1 && (!at->safe || (dir.st_mode & S_ISVTX)))
		return vd_error_set(err, -EMLINK, "%s has another name somewhere, and user %u could have given it this one; put a copy here",
			path, at->safe ? (unsigned)st.st_uid : at->other);
	if (root && writing && (dir.st_mode & S_ISVTX) && !trusted(st.st_uid))
		return vd_error_set(err, -EPERM, "%s belongs to user %u, in a folder that everybody may write", path, (unsigned)st.st_uid);
	return 0;
}

int vd_place_open(const char *path, int flags, unsigned mode, bool *ret_safe, struct vd_error *err)
{
	bool writing = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
	struct vd_place at;
	int fd, r = vd_place_find(path, &at, err);

	if (r < 0)
		return r;
	if (ret_safe)
		*ret_safe = at.safe;
	if (writing && !at.safe && geteuid() == 0) {
		close(at.dir);
		return vd_error_set(err, -EPERM, "%s: user %u could lead root elsewhere from there; use a folder that belongs to root, and so "
			"does each above it", path, at.other);
	}
	/* Cut off only what was looked at. */
	fd = openat(at.dir, at.name, (flags & ~O_TRUNC) | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, (mode_t)mode);
	r = fd < 0 ? vd_error_set(err, -errno, "%s: %s", path, strerror(errno)) : judge(fd, path, &at, writing, err);
	if (r == 0 && (flags & O_TRUNC) && ftruncate(fd, 0) < 0)
		r = vd_error_set(err, -errno, "%s: %s", path, strerror(errno));
	close(at.dir);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

int vd_file_open(const char *path, int flags, unsigned mode, struct vd_error *err)
{
	return vd_place_open(path, flags, mode, NULL, err);
}

bool vd_file_safe(const char *path)
{
	struct vd_place at;
	struct vd_error err;
	struct stat st;
	bool sticky;

	if (vd_place_find(path, &at, &err) < 0)
		return false;
	sticky = fstat(at.dir, &st) < 0 || ((st.st_mode & (S_IWOTH | S_IWGRP)) && (st.st_mode & S_ISVTX));
	close(at.dir);
	return at.safe && !sticky;
}

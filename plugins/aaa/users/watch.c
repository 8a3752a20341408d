/* Whether files changed, and why they cannot be read: the daemon read them as root when it started, and is an ordinary
 * user when they change. */
#include "plugins/aaa/users/users.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool users_stamp(const char *path, struct users_stamp *stamp)
{
	struct users_stamp now = { { 0 } };
	struct stat st;

	if (!stat(path, &st)) {
		now.v[0] = (int64_t)st.st_dev;
		now.v[1] = (int64_t)st.st_ino;
		now.v[2] = st.st_size;
		now.v[3] = st.st_mtim.tv_sec;
		now.v[4] = st.st_mtim.tv_nsec;
		now.v[5] = st.st_ctim.tv_sec;
		now.v[6] = st.st_ctim.tv_nsec;
	}
	if (!memcmp(&now, stamp, sizeof(now)))
		return false;
	*stamp = now;
	return true;
}

bool users_secret_path(const struct users_file *file, const struct vd_conf *conf, const struct vd_conf_node *user,
	char *out, size_t size)
{
	const struct vd_conf_node *node = vd_conf_at(conf, user, "password");
	const char *text, *slash = strrchr(file->path, '/');

	text = vd_conf_str(node ? node : vd_conf_at(conf, user, "nt_hash"));
	if (!text || strlen(file->path) + strlen(text) + 2 > size)
		return false;
	if (text[0] == '/' || !slash)
		vd_strcpy(out, size, text);
	else
		vd_format(out, size, "%.*s/%s", (int)(slash - file->path), file->path, text);
	return true;
}

bool users_forbidden(const char *path, struct vd_error *err)
{
	const char *user = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "gateway.user")), *end = path;
	char part[2048] = "";

	user = user ? user : "viaduct";
	while ((end = strchr(end + 1, '/')) && (size_t)(end - path) < sizeof(part)) {
		memcpy(part, path, (size_t)(end - path));
		part[end - path] = '\0';
		if (access(part, X_OK) == 0)
			continue;
		if (errno != EACCES)
			return false;
		vd_error_set(err, -EACCES, "user %s may not enter %s; run: chgrp %s %s; chmod 750 %s", user, part, user, part,
			part);
		return true;
	}
	if (access(path, R_OK) == 0 || errno != EACCES)
		return false;
	vd_error_set(err, -EACCES, "user %s may not read %s; run: chgrp %s %s; chmod 640 %s", user, path, user, path,
		path);
	return true;
}

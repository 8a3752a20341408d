/* One file of accounts. */
#include "plugins/aaa/users/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>
#include <viaduct/loop.h>

static const struct vd_opt schema[] = {
	{ "*", VD_T_MAP, 0, NULL, NULL, "An account; its key is the user's name." },
	{ "*.password", VD_T_SECRET, VD_OPT_LIVE, NULL, NULL, "The password." },
	{ "*.nt_hash", VD_T_SECRET, VD_OPT_LIVE, NULL, NULL,
		"MD4 of the password in UTF-16LE, as 32 hexadecimal digits, instead of the password." },
	{ "*.address", VD_T_ADDR, VD_OPT_LIVE, NULL, NULL, "The dedicated address." },
	{ "*.pool", VD_T_NAME, VD_OPT_LIVE, NULL, NULL, "The pool, instead of the connection's." },
	{ "*.routes_behind", VD_T_PREFIX, VD_OPT_LIVE | VD_OPT_LIST, NULL, NULL, "Networks behind the client, at most 8." },
	{ "*.disabled", VD_T_BOOL, VD_OPT_LIVE, "false", NULL, "May not log in." },
	{ "*.session_timeout", VD_T_DURATION, VD_OPT_LIVE, NULL, "1s..365d", "Longest session." },
	{ "*.idle_timeout", VD_T_DURATION, VD_OPT_LIVE, NULL, "1s..365d", "Ended when silent for so long." },
	{ NULL },
};

struct dedicated {
	const struct vd_ip *address;
	const struct vd_conf_node *user;
};

static int by_address(const void *a, const void *b)
{
	const struct dedicated *x = a, *y = b;

	return vd_ip_cmp(x->address, y->address);
}

/* No address twice. */
static int check_addresses(const struct vd_conf *conf, struct vd_error *err)
{
	const struct vd_conf_node *root = vd_conf_at(conf, NULL, "");
	size_t n = 0, i, count = vd_conf_count(root);
	struct dedicated *all = calloc(count + 1, sizeof(*all));
	char at[128], text[VD_IP_TEXT];
	int ret = 0;

	if (!all)
		return vd_error_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		all[n].user = vd_conf_nth(root, i);
		all[n].address = vd_conf_ip(vd_conf_at(conf, all[n].user, "address"));
		n += all[n].address != NULL;
	}
	qsort(all, n, sizeof(*all), by_address);
	for (i = 1; i < n && !ret; i++)
		if (vd_ip_equal(all[i].address, all[i - 1].address))
			ret = vd_error_set(err, -EINVAL, "%s: %s and %s have the same address %s",
				vd_conf_origin(all[i].user, at, sizeof(at)), vd_conf_name(all[i - 1].user),
				vd_conf_name(all[i].user), vd_ip_format(all[i].address, text));
	free(all);
	return ret;
}

/* What the schema cannot say. */
static int check_user(const struct vd_conf *conf, const struct vd_conf_node *user, struct vd_error *err)
{
	const struct vd_secret *hash = vd_conf_secret(vd_conf_at(conf, user, "nt_hash"));
	const struct vd_secret *password = vd_conf_secret(vd_conf_at(conf, user, "password"));
	char at[128], text[33];
	uint8_t octets[16];
	int n;

	vd_conf_origin(user, at, sizeof(at));
	if (!hash && !password)
		return vd_error_set(err, -EINVAL, "%s: %s has neither password nor nt_hash", at, vd_conf_name(user));
	if (hash && password)
		return vd_error_set(err, -EINVAL, "%s: %s has both password and nt_hash; one is enough", at, vd_conf_name(user));
	if (vd_conf_count(vd_conf_at(conf, user, "routes_behind")) > 8)
		return vd_error_set(err, -EINVAL, "%s: %s has more than 8 routes_behind", at, vd_conf_name(user));
	if (!hash)
		return 0;
	if (vd_secret_len(hash) == 32) {
		memcpy(text, vd_secret_data(hash), 32);
		text[32] = '\0';
		n = vd_unhex(text, octets, sizeof(octets));
		vd_wipe(text, sizeof(text));
		vd_wipe(octets, sizeof(octets));
		if (n == 16)
			return 0;
	}
	return vd_error_set(err, -EINVAL, "%s: the nt_hash of %s is not 32 hexadecimal digits", at, vd_conf_name(user));
}

/* Remembers what the file looks like now; false when it looks as it did. */
static bool changed(struct users_file *file)
{
	int64_t now[5] = { 0 };
	struct stat st;

	if (!stat(file->path, &st)) {
		now[0] = (int64_t)st.st_dev;
		now[1] = (int64_t)st.st_ino;
		now[2] = st.st_size;
		now[3] = st.st_mtim.tv_sec;
		now[4] = st.st_mtim.tv_nsec;
	}
	if (!memcmp(now, file->seen, sizeof(now)))
		return false;
	memcpy(file->seen, now, sizeof(now));
	return true;
}

int users_file_load(struct users_file *file, struct vd_error *err)
{
	const struct vd_conf *conf = NULL;
	const struct vd_conf_node *root;
	size_t n_errors = 0, i;
	int ret;

	changed(file);
	file->looked = vd_now();
	ret = vd_conf_load_file(file->path, schema, &conf, &n_errors, err);
	if (ret && n_errors > 1 && err) {
		size_t n = strlen(err->text);

		vd_format(err->text + n, sizeof(err->text) - n, " (and %zu more)", n_errors - 1);
	}
	if (ret)
		return ret;
	root = vd_conf_at(conf, NULL, "");
	for (i = 0; i < vd_conf_count(root) && !ret; i++)
		ret = check_user(conf, vd_conf_nth(root, i), err);
	if (!ret)
		ret = check_addresses(conf, err);
	if (ret) {
		vd_conf_unref(conf);
		return ret;
	}
	vd_conf_unref(file->conf);
	file->conf = conf;
	return 0;
}

int users_file_refresh(struct users_file *file, struct vd_error *err)
{
	int ret;

	if (vd_now() - file->looked < 1000)
		return 0;
	file->looked = vd_now();
	if (!changed(file))
		return 0;
	ret = users_file_load(file, err);
	return ret ? ret : 1;
}

void users_file_clear(struct users_file *file)
{
	vd_conf_unref(file->conf);
	vd_wipe(file, sizeof(*file));
}

const struct vd_conf_node *users_file_find(const struct users_file *file, const char *user)
{
	const struct vd_conf_node *root = vd_conf_at(file->conf, NULL, ""), *node = vd_conf_child(root, user);
	const char *plain = vd_mschap_user(user);

	return node || plain == user ? node : vd_conf_child(root, plain);
}

/* One file of accounts. */
#include "plugins/aaa/users/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>
#include <viaduct/loop.h>

#define LOOK_MS 1000
#define RETRY_MS 10000 /* what mends it may be a folder's mode, which is not watched */

const struct vd_opt users_file_schema[] = {
	{ "*", VD_T_MAP, 0, NULL, NULL, "An account; its key is the user's name." },
	{ "*.password", VD_T_SECRET, VD_OPT_LIVE, NULL, NULL, "The password." },
	{ "*.nt_hash", VD_T_SECRET, VD_OPT_LIVE, NULL, NULL,
		"MD4 of the password in UTF-16LE, as 32 hexadecimal digits, instead of the password." },
	{ "*.address", VD_T_ADDR, VD_OPT_LIVE, NULL, NULL, "The dedicated address." },
	{ "*.prefix", VD_T_PREFIX, VD_OPT_LIVE, NULL, NULL,
		"The dedicated IPv6 network, of 64 bits, as 2001:db8:8:b::/64." },
	{ "*.pool", VD_T_NAME, VD_OPT_LIVE, NULL, NULL, "The pool, instead of the connection's." },
	{ "*.routes_behind", VD_T_PREFIX, VD_OPT_LIVE | VD_OPT_LIST, NULL, NULL, "Networks behind the client, at most 8." },
	{ "*.disabled", VD_T_BOOL, VD_OPT_LIVE, "false", NULL, "May not log in." },
	{ "*.session_timeout", VD_T_DURATION, VD_OPT_LIVE, NULL, "1s..365d", "Longest session." },
	{ "*.idle_timeout", VD_T_DURATION, VD_OPT_LIVE, NULL, "1s..365d", "Ended when silent for so long." },
	{ NULL },
};

/* A finding of a check; err has the first one. */
static int wrong(struct vd_error *err, const struct vd_conf_node *node, const char *fmt, ...) VD_PRINTF(3, 4);
static int wrong(struct vd_error *err, const struct vd_conf_node *node, const char *fmt, ...)
{
	char text[sizeof(err->text)], at[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vd_check_error(node, "%s", text);
	return vd_error_set(err, -EINVAL, "%s: %s", vd_conf_origin(node, at, sizeof(at)), text);
}

struct dedicated {
	const struct vd_ip *address;
	const struct vd_conf_node *user;
};

static int by_address(const void *a, const void *b)
{
	const struct dedicated *x = a, *y = b;

	return vd_ip_cmp(x->address, y->address);
}

/* No address or network twice. */
static int check_addresses(const struct vd_conf *conf, struct vd_error *err)
{
	const struct vd_conf_node *root = vd_conf_at(conf, NULL, "");
	size_t n = 0, i, count = vd_conf_count(root);
	struct dedicated *all = calloc(2 * count + 1, sizeof(*all));
	char text[VD_IP_TEXT];
	int ret = 0;

	if (!all)
		return vd_error_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		const struct vd_conf_node *user = vd_conf_nth(root, i), *node = vd_conf_at(conf, user, "prefix");
		const struct vd_prefix *prefix = vd_conf_prefix(node);

		all[n] = (struct dedicated){ vd_conf_ip(vd_conf_at(conf, user, "address")), user };
		n += all[n].address != NULL;
		all[n] = (struct dedicated){ prefix ? &prefix->ip : NULL, user };
		n += prefix != NULL;
		if (prefix && (prefix->ip.family != AF_INET6 || prefix->len != 64))
			ret = wrong(err, node, "%s of %s is no IPv6 network of 64 bits", vd_prefix_format(prefix, text), vd_conf_name(user));
	}
	qsort(all, n, sizeof(*all), by_address);
	for (i = 1; i < n && !ret; i++)
		if (vd_ip_equal(all[i].address, all[i - 1].address))
			ret = wrong(err, all[i].user, "%s and %s have the same address %s", vd_conf_name(all[i - 1].user),
				vd_conf_name(all[i].user), vd_ip_format(all[i].address, text));
	free(all);
	return ret;
}

/* What the schema cannot say. */
static int check_user(const struct vd_conf *conf, const struct vd_conf_node *user, struct vd_error *err)
{
	const struct vd_secret *hash = vd_conf_secret(vd_conf_at(conf, user, "nt_hash"));
	const struct vd_secret *password = vd_conf_secret(vd_conf_at(conf, user, "password"));
	char text[33];
	uint8_t octets[16];
	int n;

	if (!hash && !password)
		return wrong(err, user, "%s has neither password nor nt_hash", vd_conf_name(user));
	if (hash && password)
		return wrong(err, user, "%s has both password and nt_hash; one is enough", vd_conf_name(user));
	if (vd_conf_count(vd_conf_at(conf, user, "routes_behind")) > 8)
		return wrong(err, user, "%s has more than 8 routes_behind", vd_conf_name(user));
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
	return wrong(err, vd_conf_at(conf, user, "nt_hash"), "the nt_hash of %s is not 32 hexadecimal digits", vd_conf_name(user));
}

static int by_user(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct users_secret *)a)->user, y = (uintptr_t)((const struct users_secret *)b)->user;

	return x < y ? -1 : x > y;
}

/* Remembers what the files of all secrets look like. Without memory only the file of accounts is watched. */
static void watch_secrets(struct users_file *file)
{
	const struct vd_conf_node *root = vd_conf_at(file->conf, NULL, "");
	size_t n = vd_conf_count(root), i;
	struct users_secret *v = calloc(n + 1, sizeof(*v));
	char path[2048];

	for (i = 0; v && i < n; i++) {
		v[i].user = vd_conf_nth(root, i);
		if (users_secret_path(file, file->conf, v[i].user, path, sizeof(path)))
			users_stamp(path, &v[i].seen);
	}
	if (v)
		qsort(v, n, sizeof(*v), by_user);
	free(file->secrets);
	file->secrets = v;
	file->n_secrets = v ? n : 0;
}

static bool secret_changed(struct users_file *file, const char *name)
{
	struct users_secret key = { .user = users_file_find(file, name) }, *found;
	char path[2048];

	if (!key.user || !file->n_secrets)
		return false;
	found = bsearch(&key, file->secrets, file->n_secrets, sizeof(key), by_user);
	return found && users_secret_path(file, file->conf, key.user, path, sizeof(path)) && users_stamp(path, &found->seen);
}

/* A file that root could read and we cannot: says what to do instead of only that. */
static void advise(const struct users_file *file, struct vd_error *err)
{
	static const char before[] = "cannot read ";
	char text[sizeof(err->text)], *path, *end;

	if (users_forbidden(file->path, err))
		return;
	vd_strcpy(text, sizeof(text), err->text);
	path = strstr(text, before);
	end = path ? strstr(path, ": ") : NULL;
	if (!end)
		return;
	*end = '\0';
	users_forbidden(path + sizeof(before) - 1, err);
}

static int check_all(const struct vd_conf *conf, struct vd_error *err)
{
	const struct vd_conf_node *root = vd_conf_at(conf, NULL, "");
	struct vd_error more;
	size_t i;
	int ret = 0, one;

	for (i = 0; i < vd_conf_count(root); i++) {
		one = check_user(conf, vd_conf_nth(root, i), ret ? &more : err);
		ret = ret ? ret : one;
	}
	one = check_addresses(conf, ret ? &more : err);
	return ret ? ret : one;
}

int users_file_load(struct users_file *file, struct vd_error *err)
{
	const struct vd_conf *conf = NULL;
	size_t n_errors = 0, n;
	int ret;

	users_stamp(file->path, &file->seen);
	file->looked = file->tried = vd_now();
	ret = vd_conf_load_file(file->path, users_file_schema, &conf, &n_errors, err);
	if (ret && err) {
		advise(file, err);
		n = strlen(err->text);
		if (n_errors > 1 && n)
			vd_format(err->text + n, sizeof(err->text) - n, " (and %zu more)", n_errors - 1);
	}
	if (!ret)
		ret = check_all(conf, err);
	for (size_t i = 0; !ret && i < vd_conf_count(vd_conf_at(conf, NULL, "")); i++)
		vd_record_name(vd_conf_name(vd_conf_nth(vd_conf_at(conf, NULL, ""), i)));
	file->failed = ret != 0;
	if (ret) {
		vd_conf_unref(conf);
		return ret;
	}
	vd_conf_unref(file->conf);
	file->conf = conf;
	watch_secrets(file);
	return 0;
}

int users_file_refresh(struct users_file *file, const char *user, struct vd_error *err)
{
	bool look = vd_now() - file->looked >= LOOK_MS, changed;
	int ret;

	if (look)
		file->looked = vd_now();
	changed = look && users_stamp(file->path, &file->seen);
	changed |= secret_changed(file, user);
	if (!changed && !(file->failed && vd_now() - file->tried >= RETRY_MS))
		return 0;
	ret = users_file_load(file, err);
	if (!ret) {
		file->said[0] = '\0';
		return 1;
	}
	if (!changed && !strcmp(file->said, err->text))
		return 0;
	vd_strcpy(file->said, sizeof(file->said), err->text);
	return ret;
}

void users_file_clear(struct users_file *file)
{
	free(file->secrets);
	vd_conf_unref(file->conf);
	vd_wipe(file, sizeof(*file));
}

const struct vd_conf_node *users_file_find(const struct users_file *file, const char *user)
{
	const struct vd_conf_node *root = vd_conf_at(file->conf, NULL, ""), *node = vd_conf_child(root, user);
	const char *plain = vd_mschap_user(user);

	return node || plain == user ? node : vd_conf_child(root, plain);
}

/* aaa_users: the provider "users" of authenticate, from YAML files. It holds no state that a restart could lose. */
#include "plugins/aaa/users/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <viaduct/accounts.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>

struct users {
	struct users_file *files;
	size_t n;
	struct users_reserved held; /* what the pools were told */
	struct vd_accounts_1 service;
};

static const struct vd_opt schema[] = {
	{ "users.*", VD_T_MAP, 0, NULL, NULL, "A set of accounts; realms name it as users/NAME." },
	{ "users.*.file", VD_T_PATH, VD_OPT_REQUIRED | VD_OPT_LIVE, NULL, NULL,
		"YAML file of accounts; read again when it changes." },
	{ NULL },
};

static struct users_file *find(struct users *self, const char *name)
{
	size_t i;

	for (i = 0; i < self->n; i++)
		if (!strcmp(self->files[i].name, name))
			return &self->files[i];
	return NULL;
}

static void drop_files(struct users_file *files, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		users_file_clear(&files[i]);
	free(files);
}

/* Reads all files of the configuration. strict: the first wrong one is a failure; otherwise it keeps what it had. */
static int read_all(struct users *self, bool strict, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *section = vd_conf_at(conf, NULL, "users"), *node;
	size_t n = vd_conf_count(section), i;
	struct users_file *files = calloc(n + 1, sizeof(*files)), *old;
	struct vd_error why;
	int ret;

	if (!files)
		return vd_error_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		node = vd_conf_nth(section, i);
		vd_strcpy(files[i].name, sizeof(files[i].name), vd_conf_name(node));
		vd_strcpy(files[i].path, sizeof(files[i].path), vd_conf_str(vd_conf_at(conf, node, "file")));
		vd_random(files[i].blind, sizeof(files[i].blind));
		old = find(self, files[i].name);
		if (old)
			files[i].conf = vd_conf_ref(old->conf);
		ret = users_file_load(&files[i], &why);
		if (ret && strict) {
			vd_error_set(err, ret, "users.%s.file: %s", files[i].name, why.text);
			drop_files(files, n);
			return ret;
		}
		if (ret)
			vd_log(VD_LOG_ERROR, "users", NULL, "users/%s keeps what it had: %s", files[i].name, why.text);
	}
	drop_files(self->files, self->n);
	self->files = files;
	self->n = n;
	return 0;
}

static void announce(struct users *self)
{
	if (users_announce(&self->held, self->files, self->n))
		vd_log(VD_LOG_ERROR, "users", NULL, "cannot tell the pools the dedicated addresses: out of memory");
}

/* All files: the address that somebody is about to get may have become another one's, whose account is elsewhere. */
static void refresh(struct users *self, const char *user)
{
	struct vd_error why;
	bool any = false;
	size_t i;
	int ret;

	for (i = 0; i < self->n; i++) {
		ret = users_file_refresh(&self->files[i], user, &why);
		any |= ret > 0;
		if (ret < 0)
			vd_log(VD_LOG_ERROR, "users", NULL, "users/%s keeps what it had: %s", self->files[i].name, why.text);
		else if (ret)
			vd_log(VD_LOG_NOTICE, "users", NULL, "users/%s was read again", self->files[i].name);
	}
	if (any)
		announce(self);
}

static void authenticate(void *arg, const struct vd_ask *ask)
{
	struct users *self = arg;
	struct users_file *file = find(self, ask->instance);
	struct vd_authenticated answer = { 0 };
	struct vd_error why = { 0 };
	enum vd_verdict verdict;

	if (!file) {
		vd_reply(ask->ticket, VD_PASS, NULL, NULL);
		return;
	}
	refresh(self, ((const struct vd_authenticate *)ask->data)->user);
	if (!file->conf) {
		vd_error_set(&why, -ENOENT, "users/%s has not been read yet: see the log", file->name);
		vd_reply(ask->ticket, VD_UNAVAILABLE, NULL, &why);
		return;
	}
	verdict = users_check(file, ask->data, &answer, &why);
	vd_count(verdict == VD_ACCEPT ? "aaa_users.accepted" : "aaa_users.rejected", 1);
	vd_reply(ask->ticket, verdict, verdict == VD_ACCEPT ? &answer : NULL, verdict == VD_REJECT ? &why : NULL);
	vd_wipe(&answer, sizeof(answer));
}

static int count(void *self, const char *name)
{
	const struct users_file *file = find(self, name);

	return file ? (int)vd_conf_count(vd_conf_at(file->conf, NULL, "")) : -ENOENT;
}

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct users *self = calloc(1, sizeof(*self));
	int ret;

	if (!self)
		return vd_error_set(err, -ENOMEM, "out of memory");
	ret = read_all(self, true, err);
	if (!ret) {
		ret = vd_provide(host, "authenticate", "users", authenticate, NULL, self);
		if (ret)
			vd_error_set(err, ret, "cannot provide authenticate as users");
	}
	if (!ret) {
		self->service = (struct vd_accounts_1){ .self = self, .count = count };
		ret = vd_service_provide(host, "accounts/1", "users", &self->service);
		if (ret)
			vd_error_set(err, ret, "cannot provide accounts/1 as users");
	}
	if (ret) {
		drop_files(self->files, self->n);
		free(self);
		return ret;
	}
	*ret_self = self;
	return 0;
}

/* Privileges are gone by now: what root read may be out of reach, and better known today than at the first change. */
static void check_reach(const struct users_file *file)
{
	const struct vd_conf_node *root = vd_conf_at(file->conf, NULL, "");
	struct vd_error why = { 0 };
	bool forbidden = users_forbidden(file->path, &why);
	char path[2048];
	size_t i;

	for (i = 0; i < vd_conf_count(root) && !forbidden; i++)
		if (users_secret_path(file, file->conf, vd_conf_nth(root, i), path, sizeof(path)))
			forbidden = users_forbidden(path, &why);
	if (forbidden)
		vd_log(VD_LOG_WARNING, "users", NULL, "users/%s: changes will not be noticed before a restart: %s", file->name,
			why.text);
}

static int start(void *arg, struct vd_error *err)
{
	struct users *self = arg;
	size_t i;

	(void)err;
	for (i = 0; i < self->n; i++)
		check_reach(&self->files[i]);
	announce(self);
	return 0;
}

static void reload(void *self)
{
	struct vd_error err;

	if (read_all(self, false, &err))
		vd_log(VD_LOG_ERROR, "users", NULL, "%s", err.text);
	announce(self);
}

/* The files as they would be read, and what that changes for whom. */
static int check(void *arg, struct vd_plan *plan, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *section = vd_conf_at(conf, NULL, "users"), *node;
	size_t n = vd_conf_count(section), i;
	struct users *self = arg;
	struct users_file *files = calloc(n + 1, sizeof(*files)), *old;
	char object[VD_NAME_MAX + 8];
	int ret, failed = 0;

	if (!files)
		return vd_error_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		node = vd_conf_at(conf, vd_conf_nth(section, i), "file");
		vd_strcpy(files[i].name, sizeof(files[i].name), vd_conf_name(vd_conf_nth(section, i)));
		vd_strcpy(files[i].path, sizeof(files[i].path), vd_conf_str(node));
		if (users_forbidden(files[i].path, err))
			ret = vd_check_error(node, "users.%s.file: %s", files[i].name, err->text);
		else if (access(files[i].path, R_OK) < 0)
			ret = vd_check_error(node, "users.%s.file: cannot read %s: %s", files[i].name, files[i].path, strerror(errno));
		else
			ret = users_file_load(&files[i], err);
		if (ret) {
			failed = ret;
			continue;
		}
		users_judge(conf, files, i + 1, node);
		old = self ? find(self, files[i].name) : NULL;
		vd_format(object, sizeof(object), "users.%s", files[i].name);
		if (old && old->conf)
			vd_plan_compare(plan, object, old->conf, files[i].conf);
	}
	drop_files(files, n);
	return failed;
}

static void fini(void *arg)
{
	struct users *self = arg;

	drop_files(self->files, self->n);
	free(self->held.v);
	free(self);
}

static const struct vd_file_table file_tables[] = { { "users.*.file", users_file_schema }, { NULL, NULL } };
static const char *const provides[] = { "authenticate/users", "accounts/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "users", "files of accounts" },
	{ NULL, NULL },
};

VD_PLUGIN(aaa_users, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "accounts in YAML files", .provides = provides,
	.files = file_tables, .schema = schema, .init = init, .start = start, .reload = reload, .check = check, .fini = fini);

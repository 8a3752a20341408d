/* Files and folders to a checked configuration, and the one in force. */
#include <viaduct/file.h>

#include "core/conf/conf_node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/record/record.h"

static struct vd_conf *current;

const struct vd_conf *vd_conf_current(void)
{
	return current;
}

void vd_conf_install(struct vd_conf *conf)
{
	struct vd_conf *old = current;

	current = conf;
	vd_conf_unref(old);
}

struct vd_conf *vd_conf_swap(struct vd_conf *conf)
{
	struct vd_conf *old = current;

	current = conf;
	return old;
}

/* The whole file in memory of its own. Negative errno; why says more where a link or a second name is the reason. */
static int read_file(const char *path, char **ret_text, size_t *ret_len, struct vd_error *why)
{
	int fd = vd_file_open(path, O_RDONLY, 0, why), err = 0;
	size_t len = 0;
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0)
		return fd;
	text = malloc(CONF_FILE_MAX + 1);
	if (!text)
		err = -ENOMEM;
	else if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if (st.st_mode & S_IWOTH)
		err = -EPERM;
	while (!err && len <= CONF_FILE_MAX) {
		n = read(fd, text + len, CONF_FILE_MAX + 1 - len);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	if (!err && len > CONF_FILE_MAX)
		err = -EFBIG;
	close(fd);
	if (err) {
		free(text);
		return err;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* Syntax errors are in errs and no reason to stop: the other files are read too. 0 or -ENOMEM. */
static int add_text(struct vd_conf *conf, const char *path, const char *dir, const char *text, size_t len,
	struct vd_conf_errors *errs)
{
	struct conf_file *file = conf_file_new(conf, path, dir);
	struct vd_conf_node *doc = NULL;
	int err = file ? conf_yaml(conf, file, text, len, &doc, errs) : -ENOMEM;

	if (!conf->main)
		conf->main = file;
	if (err == -ENOMEM)
		return err;
	conf->broken |= err != 0;
	return doc ? conf_merge(conf, doc, errs) : 0;
}

static int add_file(struct vd_conf *conf, const char *path, struct vd_conf_errors *errs)
{
	char dir[CONF_PATH_MAX], *slash, *text = NULL;
	size_t len = 0;
	struct vd_error why = { 0 };
	int err = read_file(path, &text, &len, &why);

	if (err == -ENOMEM)
		return err;
	if (err) {
		conf->broken = true;
		vd_conf_errors_add(errs, false, path, conf->free_names, conf->free_names, "cannot read this file: %s",
			err == -EFBIG ? "larger than 1 MiB" : err == -ELOOP || err == -EMLINK ? why.text : err == -EPERM ?
			"everybody may write it; run: chmod o-w" : strerror(-err));
		return 0;
	}
	vd_strcpy(dir, sizeof(dir), path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[1] = '\0';
	vd_record_file(path, text, len);
	err = add_text(conf, path, slash ? dir : "", text, len, errs);
	free(text);
	return err;
}

/* A new configuration with its schema. */
static struct vd_conf *begin(const struct vd_opt *const *schemas, size_t n, bool core, struct vd_conf_errors *errs)
{
	const struct vd_opt **all = calloc(n + 1, sizeof(*all));
	struct vd_conf *conf = conf_new();
	size_t k = 0, i;

	if (!all || !conf)
		goto fail;
	if (core)
		all[k++] = vd_conf_core_schema;
	for (i = 0; i < n; i++)
		if (!core || schemas[i] != vd_conf_core_schema)
			all[k++] = schemas[i];
	if (conf_schema_build(conf, all, k, errs) < 0)
		goto fail;
	free(all);
	return conf;
fail:
	free(all);
	vd_conf_unref(conf);
	return NULL;
}

/* Checks what was read and hands it over; conf is freed otherwise. err: of reading. */
static int finish(struct vd_conf *conf, int err, size_t before, const char *const *words, struct vd_conf **ret,
	struct vd_conf_errors *errs)
{
	if (!err)
		err = conf_check_all(conf, words, errs);
	if (!err && (errs->n_errors > before || errs->n_unknown))
		err = -EINVAL;
	if (!err && !conf->free_names)
		conf_lint(conf, words, errs);
	if (err == -ENOMEM)
		vd_conf_errors_add(errs, false, NULL, 0, 0, "out of memory");
	if (err)
		vd_conf_unref(conf);
	else
		*ret = conf;
	return err;
}

int vd_conf_parse_text(const char *yaml, const char *name, const char *dir, const struct vd_opt *const *schemas,
	size_t n, struct vd_conf **ret, struct vd_conf_errors *errs)
{
	size_t before = errs->n_errors;
	struct vd_conf *conf = begin(schemas, n, true, errs);
	int err;

	if (!conf)
		return -ENOMEM;
	if (strlen(yaml) > CONF_FILE_MAX) {
		vd_conf_errors_add(errs, false, name, 0, 0, "larger than 1 MiB");
		err = 0;
	} else {
		err = add_text(conf, name, dir, yaml, strlen(yaml), errs);
	}
	return finish(conf, err, before, NULL, ret, errs);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends(const char *text, const char *tail)
{
	size_t n = strlen(text), k = strlen(tail);

	return n > k && !strcmp(text + n - k, tail);
}

static int add_drop_ins(struct vd_conf *conf, const char *dir, struct vd_conf_errors *errs)
{
	char path[CONF_PATH_MAX], *names[CONF_FILES_MAX];
	struct dirent *entry;
	size_t n = 0, i;
	int err = 0;
	DIR *d;

	vd_format(path, sizeof(path), "%s/conf.d", dir);
	d = opendir(path);
	if (!d) {
		if (errno != ENOENT) {
			conf->broken = true;
			vd_conf_errors_add(errs, false, path, 0, 0, "cannot read this folder: %s", strerror(errno));
		}
		return 0;
	}
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		vd_format(path, sizeof(path), "%s/conf.d/%s", dir, entry->d_name);
		if (!ends(entry->d_name, ".yaml")) {
			if (ends(entry->d_name, ".yml"))
				vd_conf_errors_add(errs, true, path, 0, 0, "not read, because its name does not end in .yaml");
			continue;
		}
		if (n == CONF_FILES_MAX) {
			vd_conf_errors_add(errs, false, path, 0, 0, "more than %u files", CONF_FILES_MAX);
			break;
		}
		names[n] = strdup(path);
		if (!names[n]) {
			err = -ENOMEM;
			break;
		}
		n++;
	}
	closedir(d);
	qsort(names, n, sizeof(*names), by_name);
	for (i = 0; i < n; i++) {
		if (!err)
			err = add_file(conf, names[i], errs);
		free(names[i]);
	}
	return err;
}

int vd_conf_load_dir(const char *dir, const struct vd_opt *const *schemas, size_t n, const char *const *words,
	struct vd_conf **ret, struct vd_conf_errors *errs)
{
	size_t before = errs->n_errors;
	struct vd_conf *conf = begin(schemas, n, true, errs);
	char path[CONF_PATH_MAX];
	int err;

	if (!conf)
		return -ENOMEM;
	vd_format(path, sizeof(path), "%s/viaduct.yaml", dir);
	err = add_file(conf, path, errs);
	if (!err)
		err = add_drop_ins(conf, dir, errs);
	return finish(conf, err, before, words, ret, errs);
}

int vd_conf_check(const char *dir, const struct vd_opt *const *schemas, size_t n, const char *const *words,
	struct vd_conf_errors *errs)
{
	struct vd_conf *conf = NULL;
	int err = vd_conf_load_dir(dir, schemas, n, words, &conf, errs);

	vd_conf_unref(conf);
	return err;
}

int vd_conf_load_file(const char *path, const struct vd_opt *schema, const struct vd_conf **ret_conf,
	size_t *n_errors, struct vd_error *err)
{
	struct vd_conf_errors own = { 0 }, *errs = conf_judged() ? conf_judged() : &own;
	size_t before = errs->n_errors;
	struct vd_conf *conf = begin(&schema, 1, false, errs), *ret = NULL;
	char text[sizeof(((struct vd_error *)0)->text)];
	int code = -ENOMEM;

	if (conf) {
		conf->free_names = true;
		code = finish(conf, add_file(conf, path, errs), before, NULL, &ret, errs);
	}
	if (code)
		vd_error_set(err, code, "%s", errs == &own ? vd_conf_errors_first(errs, text, sizeof(text)) : "");
	else
		*ret_conf = ret;
	if (n_errors)
		*n_errors = errs->n_errors - before;
	vd_conf_errors_free(&own);
	return code;
}

/* Which plugins there are: opening, checking, choosing by the configuration, ordering by needs. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/conf.h>
#include <viaduct/topics.h>

#include "core/conf/conf.h"
#include "core/plugin.h"
#include "core/report/report.h"

#define MAX_PLUGINS 128

static struct vd_host *hosts;

struct vd_host *vd_plugins_first(void)
{
	return hosts;
}

struct vd_host *vd_plugin_find(const char *name)
{
	for (struct vd_host *h = hosts; h; h = h->next)
		if (strcmp(h->plugin->name, name) == 0)
			return h;
	return NULL;
}

int vd_plugin_check(const struct vd_plugin *p, const char *name, bool in_tree, struct vd_error *err)
{
	if (p->magic != VD_PLUGIN_MAGIC)
		return vd_error_set(err, -ENOEXEC, "%s is not a Viaduct plugin (magic %08x)", name, p->magic);
	if (p->abi_major != VD_ABI_MAJOR)
		return vd_error_set(err, -ENOEXEC, "%s was built for plugin ABI %u, this is %u; rebuild it against the headers "
			"of this version", name, p->abi_major, VD_ABI_MAJOR);
	if (p->abi_minor > VD_ABI_MINOR)
		return vd_error_set(err, -ENOEXEC, "%s needs plugin ABI %u.%u, this is %u.%u; update Viaduct", name, p->abi_major,
			p->abi_minor, VD_ABI_MAJOR, VD_ABI_MINOR);
	if (p->struct_size > sizeof(struct vd_plugin))
		return vd_error_set(err, -ENOEXEC, "%s has a descriptor of %u octets, this version knows %zu; update Viaduct",
			name, p->struct_size, sizeof(struct vd_plugin));
	if (p->abi_hash != VD_ABI_HASH)
		return vd_error_set(err, -ENOEXEC, "%s was built with other headers (abi_hash %016llx, here %016llx); rebuild it "
			"against the installed headers", name, (unsigned long long)p->abi_hash,
			(unsigned long long)VD_ABI_HASH);
	if (!p->name || strcmp(p->name, name) != 0)
		return vd_error_set(err, -ENOEXEC, "%s calls itself %s; the file must be named after the plugin", name,
			p->name ? p->name : "nothing");
	if (p->fini && !p->init)
		return vd_error_set(err, -ENOEXEC, "%s has fini but no init, so fini would get no object; give it an init, or leave "
			"fini out", name);
	if (in_tree && (!p->build_id || strcmp(p->build_id, VD_BUILD_ID) != 0))
		return vd_error_set(err, -ENOEXEC, "%s is of another build (build_id %s, here %s); finish the upgrade and restart",
			name, p->build_id ? p->build_id : "-", VD_BUILD_ID);
	return 0;
}

static struct vd_host *add(const struct vd_plugin *plugin, const char *file)
{
	struct vd_host *h = calloc(1, sizeof(*h)), **at;

	if (!h)
		return NULL;
	h->plugin = plugin;
	vd_strcpy(h->file, sizeof(h->file), file);
	for (at = &hosts; *at && strcmp((*at)->plugin->name, plugin->name) < 0; at = &(*at)->next)
		;
	h->next = *at;
	*at = h;
	return h;
}

struct vd_host *vd_plugin_preload(const struct vd_plugin *plugin, struct vd_error *err)
{
	struct vd_host *h;

	if (vd_plugin_check(plugin, plugin->name, true, err) < 0)
		return NULL;
	if ((h = vd_plugin_find(plugin->name)))
		return h;
	if (vd_failures_check(plugin, err) < 0)
		return NULL;
	h = add(plugin, "");
	if (!h)
		vd_error_set(err, -ENOMEM, "out of memory");
	return h;
}

static int open_one(const char *dir, const char *name, struct vd_error *err)
{
	char path[512];
	const struct vd_plugin *p;
	int r;

	vd_format(path, sizeof(path), "%s/%s.so", dir, name);
	vd_plugin_load_limit(path);
	r = vd_plugin_file_open(path, name, &p, err);
	vd_plugin_load_limit(NULL);
	if (r < 0)
		return r;
	if (vd_plugin_find(name))
		return vd_error_set(err, -EEXIST, "%s is there twice", name);
	return add(p, path) ? 0 : vd_error_set(err, -ENOMEM, "out of memory");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int vd_plugins_open(const char *dir, void (*refuse)(void *arg, const char *text), void *arg)
{
	char *names[MAX_PLUGINS];
	size_t n = 0;
	int refused = 0;
	struct vd_error err;
	struct dirent *de;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return -errno;
	if (vd_plugin_folder_check(dir, &err) < 0) {
		closedir(d);
		refuse(arg, err.text);
		return 1;
	}
	while ((de = readdir(d)) && n < MAX_PLUGINS) {
		size_t len = strlen(de->d_name);

		if (len > 3 && strcmp(de->d_name + len - 3, ".so") == 0 && (names[n] = strndup(de->d_name, len - 3)))
			n++;
	}
	closedir(d);
	qsort(names, n, sizeof(names[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		if (open_one(dir, names[i], &err) < 0) {
			refuse(arg, err.text);
			refused++;
		}
		free(names[i]);
	}
	return refused;
}

const struct vd_opt **vd_plugins_schemas(size_t *ret_n)
{
	const struct vd_opt **out = calloc(MAX_PLUGINS + 1, sizeof(*out));
	size_t n = 0;

	if (!out)
		return NULL;
	for (struct vd_host *h = hosts; h && n < MAX_PLUGINS; h = h->next)
		if (h->plugin->schema)
			out[n++] = h->plugin->schema;
	*ret_n = n;
	return out;
}

const char **vd_plugins_accept_words(void)
{
	const char **out = calloc(MAX_PLUGINS + 1, sizeof(*out));
	size_t n = 0;

	if (!out)
		return NULL;
	for (struct vd_host *h = hosts; h; h = h->next) {
		for (size_t i = 0; h->plugin->provides && h->plugin->provides[i] && n < MAX_PLUGINS; i++) {
			const char *what = h->plugin->provides[i];

			if (strncmp(what, "accept/", 7) == 0)
				out[n++] = what + 7;
			else if ((strncmp(what, "connect/", 8) == 0 && what[8] > '9') || strncmp(what, "authenticate/", 13) == 0 || strncmp(what, "account/", 8) == 0)
				out[n++] = what;
		}
	}
	return out;
}

/* ---- choosing ---- */
static bool provides(const struct vd_host *h, const char *what)
{
	for (size_t i = 0; h->plugin->provides && h->plugin->provides[i]; i++)
		if (strcmp(h->plugin->provides[i], what) == 0)
			return true;
	return false;
}

/* "plugins: { NAME: on|off }" */
static const struct vd_conf_node *switch_of(const struct vd_conf *conf, const char *name)
{
	char path[96];

	vd_format(path, sizeof(path), "plugins.%s", name);
	return vd_conf_at(conf, NULL, path);
}

static bool switched(const struct vd_conf *conf, const char *name, const char *word)
{
	const struct vd_conf_node *node = switch_of(conf, name);

	return node && strcmp(vd_conf_str(node), word) == 0;
}

bool vd_plugin_is_off(const struct vd_host *host)
{
	return switched(vd_conf_current(), host->plugin->name, "off");
}

/* What in the configuration asks for a plugin, in its words: "connections.staff.accept names NAME". */
struct want {
	char by[192];
	bool half; /* without the plugin something that is configured is not served; else options merely have no effect */
};

/* Sections of the core; a plugin may add options below their objects, and is wanted when one of those is written. */
static bool core_section(const char *name, size_t len)
{
	static const char *const names[] = { "connections", "gateway", "realms", "log", "plugins" };

	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	return false;
}

/* "connections.*.l2tp.psk": is l2tp written in any connection? */
static bool written_below(const struct vd_conf *conf, const char *section, const char *rest, struct want *want)
{
	const struct vd_conf_node *objects = vd_conf_at(conf, NULL, section);
	const char *dot = strchr(rest, '.');
	char key[VD_NAME_MAX];

	vd_format(key, sizeof(key), "%.*s", (int)(dot ? (size_t)(dot - rest) : strlen(rest)), rest);
	for (size_t i = 0; i < vd_conf_count(objects); i++)
		if (vd_conf_child(vd_conf_nth(objects, i), key)) {
			vd_format(want->by, sizeof(want->by), "%s.%s.%s", section, vd_conf_name(vd_conf_nth(objects, i)), key);
			want->half = true;
			return true;
		}
	return false;
}

/* "log.file.path": is log.file written? */
static bool part_written(const struct vd_conf *conf, const char *path)
{
	size_t first = strcspn(path, ".");
	char part[2 * VD_NAME_MAX];
	const struct vd_conf_node *node;

	vd_format(part, sizeof(part), "%.*s", (int)(first + 1 + strcspn(path + first + 1, ".")), path);
	node = vd_conf_at(conf, NULL, part);
	return node && vd_conf_written(node);
}

static const char *wanted_by_section(const struct vd_conf *conf, const struct vd_plugin *p, struct want *want)
{
	for (const struct vd_opt *o = p->schema; o && o->path; o++) {
		const char *dot = strchr(o->path, '.');
		size_t len = dot ? (size_t)(dot - o->path) : strlen(o->path);
		char section[VD_NAME_MAX];

		vd_format(section, sizeof(section), "%.*s", (int)len, o->path);
		if (!core_section(o->path, len)) {
			const struct vd_conf_node *node = vd_conf_at(conf, NULL, section);

			if (node && vd_conf_written(node)) {
				want->half = vd_conf_section_named(conf, section, want->by, sizeof(want->by)) != NULL;
				if (!want->half)
					vd_strcpy(want->by, sizeof(want->by), section);
				return "its section is written";
			}
		} else if (dot && dot[1] == '*' && dot[2] == '.' && written_below(conf, section, dot + 3, want)) {
			return "a connection uses its options";
		} else if (dot && dot[1] != '*' && part_written(conf, o->path)) {
			vd_format(want->by, sizeof(want->by), "%.*s", (int)(len + 1 + strcspn(dot + 1, ".")), o->path);
			return "its section is written";
		}
	}
	return NULL;
}

static bool list_has(const struct vd_conf_node *list, const char *word)
{
	for (size_t i = 0; i < vd_conf_count(list); i++)
		if (strcmp(vd_conf_str(vd_conf_nth(list, i)), word) == 0)
			return true;
	return false;
}

static bool word_in_lists(const struct vd_conf *conf, const char *word, struct want *want)
{
	static const char *const lists[] = { "accept", "connect" };
	const struct vd_conf_node *objects = vd_conf_at(conf, NULL, "connections");

	for (size_t i = 0; i < vd_conf_count(objects); i++) {
		for (size_t l = 0; l < VD_ARRAY_SIZE(lists); l++) {
			if (!list_has(vd_conf_at(conf, vd_conf_nth(objects, i), lists[l]), word))
				continue;
			vd_format(want->by, sizeof(want->by), "connections.%s.%s", vd_conf_name(vd_conf_nth(objects, i)), lists[l]);
			want->half = true;
			return true;
		}
	}
	return false;
}

/* "auth.method=word": does that option name the word, in its section or in a connection? A default does not count: the plugin that
 * has the option asks for what its default names. */
static bool option_names(const struct vd_conf *conf, const char *provided, const char *equals, struct want *want)
{
	const struct vd_conf_node *objects = vd_conf_at(conf, NULL, "connections");
	char path[2 * VD_NAME_MAX];

	vd_format(path, sizeof(path), "%.*s", (int)(equals - provided), provided);
	for (size_t i = 0; i < vd_conf_count(objects); i++)
		if (list_has(vd_conf_at(conf, vd_conf_nth(objects, i), path), equals + 1)) {
			vd_format(want->by, sizeof(want->by), "connections.%s.%s", vd_conf_name(vd_conf_nth(objects, i)), path);
			want->half = true;
			return true;
		}
	if (!list_has(vd_conf_at(conf, NULL, path), equals + 1))
		return false;
	want->half = vd_conf_written(vd_conf_at(conf, NULL, path));
	vd_strcpy(want->by, sizeof(want->by), want->half ? path : "");
	return true;
}

static const char *wanted_by_word(const struct vd_conf *conf, const struct vd_plugin *p, struct want *want)
{
	for (size_t i = 0; p->provides && p->provides[i]; i++) {
		const char *what = p->provides[i], *equals = strchr(what, '=');

		if (strncmp(what, "accept/", 7) == 0 && word_in_lists(conf, what + 7, want))
			return "a connection names it";
		if (equals && option_names(conf, what, equals, want))
			return "an option names it";
	}
	return NULL;
}

/* The need that vd_plugins_choose() found nobody for, and which plugin that provides it is switched off. */
static struct {
	const struct vd_host *host, *off;
	const char *need;
} missing;

static int nobody_provides(const struct vd_conf *conf, const struct vd_host *h, const char *need, struct vd_error *err)
{
	missing.host = h;
	missing.need = need;
	for (const struct vd_host *x = hosts; x; x = x->next)
		if (provides(x, need) && switched(conf, x->plugin->name, "off"))
			missing.off = x;
	return vd_error_set(err, -ENOENT, "plugin %s needs %s, which no plugin provides; is one switched off or not installed?",
		h->plugin->name, need);
}

/* Depth-first over needs; marks is 1 while a plugin's needs are being placed. */
static int place(const struct vd_conf *conf, struct vd_host *h, unsigned *order, unsigned *marks, struct vd_error *err)
{
	size_t at = 0;

	for (struct vd_host *x = hosts; x != h; x = x->next)
		at++;
	if (h->order)
		return 0;
	if (marks[at])
		return vd_error_set(err, -ELOOP, "plugins need each other in a circle: %s", h->plugin->name);
	marks[at] = 1;
	for (size_t i = 0; h->plugin->needs && h->plugin->needs[i]; i++) {
		const char *need = h->plugin->needs[i];
		struct vd_host *found = NULL;
		int r = 0;

		if (vd_service_is_core(need))
			continue;
		/* All that are wanted anyway go first (of a service with variants each may serve); else the first by
		 * name that is not switched off. */
		for (struct vd_host *x = hosts; x && r == 0; x = x->next) {
			if (!provides(x, need) || switched(conf, x->plugin->name, "off"))
				continue;
			if (!found || (!found->why && x->why))
				found = x;
			if (x->why)
				r = place(conf, x, order, marks, err);
		}
		if (!found)
			return nobody_provides(conf, h, need, err);
		if (!found->why) {
			found->why = h->plugin->name;
			r = place(conf, found, order, marks, err);
		}
		if (r == -ELOOP && err)
			vd_format(err->text + strlen(err->text), sizeof(err->text) - strlen(err->text), " <- %s",
				h->plugin->name);
		if (r < 0)
			return r;
	}
	marks[at] = 0;
	h->order = ++*order;
	return 0;
}

int vd_plugins_choose(const struct vd_conf *conf, struct vd_error *err)
{
	unsigned marks[MAX_PLUGINS] = { 0 }, order = 0;
	struct want want;
	int r;

	memset(&missing, 0, sizeof(missing));
	for (struct vd_host *h = hosts; h; h = h->next) {
		h->order = 0;
		h->why = NULL;
		if (switched(conf, h->plugin->name, "off"))
			continue;
		if (switched(conf, h->plugin->name, "on"))
			h->why = "it is switched on";
		if (!h->why)
			h->why = wanted_by_word(conf, h->plugin, &want);
		if (!h->why)
			h->why = wanted_by_section(conf, h->plugin, &want);
	}
	for (struct vd_host *h = hosts; h; h = h->next)
		if (h->why && (r = place(conf, h, &order, marks, err)) < 0)
			return r;
	return 0;
}

static struct vd_host *by_order(unsigned order)
{
	for (struct vd_host *h = hosts; h; h = h->next)
		if (h->order == order)
			return h;
	return NULL;
}

static unsigned chosen(void)
{
	unsigned n = 0;

	for (struct vd_host *h = hosts; h; h = h->next)
		n += h->order != 0;
	return n;
}

int vd_plugins_init(struct vd_error *err)
{
	for (unsigned i = 1; i <= chosen(); i++) {
		int r = vd_host_init(by_order(i), err);

		if (r < 0) {
			vd_plugins_backwards(vd_host_fini);
			return r;
		}
	}
	return 0;
}

int vd_plugins_start(struct vd_error *err)
{
	for (unsigned i = 1; i <= chosen(); i++) {
		int r = vd_host_start(by_order(i), err);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool has_option(const struct vd_opt *o, const char *path)
{
	for (; o && o->path; o++)
		if (strcmp(o->path, path) == 0)
			return true;
	return false;
}

bool vd_plugins_serve(const char *path)
{
	if (has_option(vd_conf_core_schema, path))
		return true;
	for (struct vd_host *h = hosts; h; h = h->next)
		if (h->order && has_option(h->plugin->schema, path))
			return true;
	return false;
}

int vd_plugins_differ(const struct vd_conf *conf, void (*fn)(void *arg, const struct vd_host *host, const char *why),
	void *arg, struct vd_error *err)
{
	struct {
		unsigned order;
		const char *why;
	} now[MAX_PLUGINS], then[MAX_PLUGINS];
	size_t i = 0;
	int r;

	for (struct vd_host *h = hosts; h; h = h->next, i++)
		now[i].order = h->order, now[i].why = h->why;
	r = vd_plugins_choose(conf, err);
	i = 0;
	for (struct vd_host *h = hosts; h; h = h->next, i++) {
		then[i].order = h->order, then[i].why = h->why;
		h->order = now[i].order, h->why = now[i].why;
	}
	i = 0;
	for (struct vd_host *h = hosts; h && r == 0; h = h->next, i++)
		if (!now[i].order != !then[i].order)
			fn(arg, h, then[i].order ? then[i].why : NULL);
	return r;
}

/* Plugins that are switched off although something asks for them. */
static void judge_switches(const struct vd_conf *conf)
{
	for (struct vd_host *h = hosts; h; h = h->next) {
		const char *name = h->plugin->name;
		struct want want = { "", false };

		if (!switched(conf, name, "off") ||
			(!wanted_by_word(conf, h->plugin, &want) && !wanted_by_section(conf, h->plugin, &want)) || !want.by[0])
			continue;
		if (want.half)
			vd_check_error(switch_of(conf, name), "plugins.%s is off, but %s needs it; take one of them out", name, want.by);
		else
			vd_check_warning(switch_of(conf, name), "plugins.%s is off, so `%s` has no effect", name, want.by);
	}
}

/* A plugin that is on without what its own section must have: nothing else asks whether that is written. */
static void judge_required(const struct vd_conf *conf)
{
	for (struct vd_host *h = hosts; h; h = h->next)
		for (const struct vd_opt *o = h->plugin->schema; o && o->path && switched(conf, h->plugin->name, "on"); o++)
			if (o->flags & VD_OPT_REQUIRED && !strchr(o->path, '*') && !vd_conf_at(conf, NULL, o->path))
				vd_check_error(switch_of(conf, h->plugin->name), "plugins.%s is on, and %s, which it must have, is not written",
					h->plugin->name, o->path);
}

static void nothing(void *arg, const struct vd_host *host, const char *why)
{
	(void)arg;
	(void)host;
	(void)why;
}

/* Whether a start finds all plugins that it needs. */
static void judge_choice(const struct vd_conf *conf)
{
	struct vd_error err = { 0 };
	struct want want = { "", false };
	int r = vd_plugins_differ(conf, nothing, NULL, &err);
	const struct vd_plugin *p = missing.host ? missing.host->plugin : NULL;

	if (r == 0)
		return;
	if (!missing.off) {
		vd_check_error(NULL, "%s", err.text);
		return;
	}
	if (!wanted_by_word(conf, p, &want))
		wanted_by_section(conf, p, &want);
	vd_check_error(switch_of(conf, missing.off->plugin->name), "plugins.%s is off, but plugin %s needs it (%s)%s%s", missing.off->plugin->name,
		p->name, missing.need, want.by[0] ? ", and is needed by " : "", want.by);
}

void vd_plugins_check(struct vd_plan *plan, struct vd_conf_errors *errs)
{
	const struct vd_conf *conf = vd_conf_current();
	struct vd_conf_errors *before = vd_conf_judge(errs);
	size_t n = errs->n_errors;

	judge_switches(conf);
	judge_required(conf);
	if (errs->n_errors == n) /* else it may be a consequence */
		judge_choice(conf);
	for (struct vd_host *h = hosts; h; h = h->next) {
		struct vd_error err = { 0 };

		n = errs->n_errors;
		vd_conf_judge(errs);
		if (h->plugin->check && !switched(conf, h->plugin->name, "off") &&
			h->plugin->check(h->state == VD_HOST_STARTED ? h->self : NULL, plan, &err) < 0 && errs->n_errors == n)
			vd_conf_errors_add_err(errs, h->plugin->name, &err);
	}
	vd_conf_judge(before);
}

void vd_plugins_reload(void)
{
	for (unsigned i = 1; i <= chosen(); i++) {
		struct vd_host *h = by_order(i);

		if (h->state == VD_HOST_STARTED && h->plugin->reload)
			h->plugin->reload(h->self);
	}
}

void vd_plugins_backwards(void (*step)(struct vd_host *host))
{
	for (unsigned i = chosen(); i > 0; i--)
		step(by_order(i));
}

void vd_plugins_forget(void)
{
	while (hosts) {
		struct vd_host *h = hosts;

		hosts = h->next;
		free(h);
	}
}

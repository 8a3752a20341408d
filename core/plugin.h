/* The registry of plugins and services. Control thread. */
#ifndef CORE_PLUGIN_H
#define CORE_PLUGIN_H

#include <sys/types.h>

#include <viaduct/plugin.h>

/* A plugin known to the daemon: opened from a file, or preloaded into a test. */
struct vd_host {
	struct vd_host *next;
	const struct vd_plugin *plugin;
	char file[256]; /* "" when preloaded */
	void *self;
	const char *why; /* why it is wanted: a section, a word, or who needs it; NULL when it is not */
	enum { VD_HOST_OPEN, VD_HOST_INIT, VD_HOST_STARTED, VD_HOST_CLOSED, VD_HOST_STOPPED } state;
	unsigned order; /* of starting, from 1; 0: not chosen */
};

/* Makes a plugin known without a file. */
struct vd_host *vd_plugin_preload(const struct vd_plugin *plugin, struct vd_error *err);
/* Opens every *.so of a folder and checks it. Each refusal is passed to refuse() with its text; the number of refusals is
 * returned, or -errno when the folder cannot be read. A folder that others may write counts as one, and nothing of it is
 * opened. */
int vd_plugins_open(const char *dir, void (*refuse)(void *arg, const char *text), void *arg);
/* Is this descriptor one that we can load? in_tree: its build must be ours too. 0 or -ENOEXEC with the reason. */
int vd_plugin_check(const struct vd_plugin *plugin, const char *name, bool in_tree, struct vd_error *err);
/* Opens one file for good and checks it in every respect. 0, or a negative errno with the reason. */
int vd_plugin_file_open(const char *path, const char *name, const struct vd_plugin **ret, struct vd_error *err);
/* The process ends with status 2 and a line on standard error unless it is called again with NULL in VD_PLUGIN_LOAD_S seconds:
 * a plugin whose code never returns from loading must not hang --check or a start. */
#define VD_PLUGIN_LOAD_S 10
void vd_plugin_load_limit(const char *path);
int vd_plugin_folder_check(const char *dir, struct vd_error *err);
/* May code from here run as us? A file or folder must belong to root, to us or to the owner of the program, and nobody
 * else may write it. 0, -EPERM, -ENOEXEC. */
struct stat;
int vd_plugin_owner_check(const char *path, const struct stat *st, uid_t us, uid_t program, struct vd_error *err);
/* Is this table of options sound? NULL is. 0 or -ENOEXEC with the row and what is wrong with it. */
int vd_plugin_schema_check(const struct vd_opt *table, const char *name, struct vd_error *err);
/* All known plugins, by name. */
struct vd_host *vd_plugins_first(void);
struct vd_host *vd_plugin_find(const char *name);
/* Schemas of all known plugins, and their words for the configuration: "l2tp", "authenticate/users" (see conf.h). Arrays are malloc'ed,
 * NULL-terminated, and freed by the caller; what they point to lives as long as the plugins. */
const struct vd_opt **vd_plugins_schemas(size_t *ret_n);
const char **vd_plugins_accept_words(void);
/* Chooses those that conf needs and sorts them by needs. */
int vd_plugins_choose(const struct vd_conf *conf, struct vd_error *err);
/* init of all chosen in order; on failure what was initialised is finished. */
int vd_plugins_init(struct vd_error *err);
int vd_plugins_start(struct vd_error *err);
/* Says of each plugin that would (not) be chosen with conf, other than today, why it would (NULL: not). Nothing changes.
 * A negative errno with err when plugins that conf needs are missing. */
int vd_plugins_differ(const struct vd_conf *conf, void (*fn)(void *arg, const struct vd_host *host, const char *why),
	void *arg, struct vd_error *err);
/* Does the core, or a plugin that was chosen, have an option of this path? */
bool vd_plugins_serve(const char *path);
/* Is it switched off by the configuration in force? */
bool vd_plugin_is_off(const struct vd_host *host);
/* Could a start with the current configuration find all plugins that it needs, and is it good for each that is not switched
 * off? Findings go to errs. */
struct vd_conf_errors;
void vd_plugins_check(struct vd_plan *plan, struct vd_conf_errors *errs);
void vd_plugins_reload(void);
/* vd_host_close, _stop or _fini of all chosen, in reverse order. */
void vd_plugins_backwards(void (*step)(struct vd_host *host));
/* One plugin through its life. */
int vd_host_init(struct vd_host *host, struct vd_error *err);
int vd_host_start(struct vd_host *host, struct vd_error *err);
void vd_host_close(struct vd_host *host);
void vd_host_stop(struct vd_host *host); /* also closes, where that was not done */
void vd_host_fini(struct vd_host *host);
/* Forgets everything that is known; opened files stay mapped (production never unloads). */
void vd_plugins_forget(void);
/* fn is called for each plugin that was finished, so that modules drop what it registered. At most 8. */
int vd_on_host_fini(void (*fn)(struct vd_host *host));
/* Who hears vd_host_failed. */
void vd_on_failed(void (*fn)(struct vd_host *host, const struct vd_error *err));
/* Is there such a service, and is it the core's own? */
bool vd_service_is_core(const char *name);
void vd_services_fini(void);

#endif

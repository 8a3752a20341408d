/* Viaduct: what a plugin is. One exported descriptor per shared object, all else hidden, no code at load time.
 *
 *   static int my_init(struct vd_host *host, void **ret_self, struct vd_error *err) { ... }
 *   VD_PLUGIN(my_plugin,
 *       .version = "1.0", .license = "MIT", .summary = "does this",
 *       .provides = my_provides, .needs = my_needs, .schema = my_schema, .init = my_init, ...);
 */
#ifndef VIADUCT_PLUGIN_H
#define VIADUCT_PLUGIN_H

#include <viaduct/abi.h> /* generated: VD_ABI_HASH and, in the tree, VD_BUILD_ID */
#include <viaduct/base.h>
#include <viaduct/bus.h>
#include <viaduct/conf.h>
#include <viaduct/log.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VD_PLUGIN_MAGIC 0x56444354u /* "VDCT" */
/* 2 is provisional: see ABI in HACKING.md. */
#define VD_ABI_MAJOR 2
#define VD_ABI_MINOR 0
#ifndef VD_BUILD_ID
#define VD_BUILD_ID "" /* third party: no build id is compared */
#endif

/* The options of a file that an option of the plugin names, for vd_conf_load_file() and for the manual page. */
struct vd_file_table {
	const char *option;         /* "users.*.file"; NULL ends the list */
	const struct vd_opt *table; /* paths begin at the file's root: "*.password" */
};

/* A word that values in files may contain and that the schema does not list: the name of an algorithm, of a built-in policy. For the
 * manual page and `viaductctl`. */
struct vd_word {
	const char *subject; /* what is listed together: "crypto" */
	const char *kind;    /* "policy", "encryption" */
	const char *word;    /* as files have it; each once of a kind */
	const char *doc;     /* what it means, or contains: one line */
};
typedef void (*vd_word_fn)(void *arg, const struct vd_word *word);

struct vd_failure; /* report.h */
struct vd_shown;
struct vd_quirk; /* quirk.h */

struct vd_plugin {
	uint32_t magic;
	uint16_t abi_major, abi_minor;
	uint32_t struct_size;
	uint64_t abi_hash;
	const char *build_id;
	const char *name, *version, *license, *summary;
	const char *const *provides; /* NULL-terminated: services "esp/1", accept words "accept/l2tp", words of what it
	                              * dials "connect/l2tp", providers,
	                              * words of options that ask for the plugin, "ppp.auth=chap" */
	const char *const *needs;    /* NULL-terminated, of those; the provider is pulled in, and those that are there
	                              * anyway start first */
	const struct vd_topic *const *topics; /* NULL-terminated, may be NULL */
	const struct vd_opt *schema; /* ends with a NULL path, may be NULL */
	/* Registers services, providers and subscriptions. The configuration (vd_conf_current) is valid. The process may be root: a
	 * file whose path the configuration gives is opened by vd_file_open (file.h), nothing is made in vd_state_dir(), and there
	 * are no threads yet. */
	int (*init)(struct vd_host *host, void **ret_self, struct vd_error *err);
	/* After everybody's init, in the order of needs; privileges are already dropped, for good. Opens what it needs through priv/1.
	 * The daemon is ready, and says so to the service manager, when all starts were called and what they asked of priv/1 was
	 * answered; a failure (also vd_host_failed until then) ends it with status 1 and without that. */
	int (*start)(void *self, struct vd_error *err);
	/* vd_conf_current() is the new one, and check accepted it. Must not fail. */
	void (*reload)(void *self);
	/* The daemon ends, in this order, each step for all plugins in reverse order of needs:
	 *   close  takes on nothing new, and says goodbye to those that it serves. Everything works until stop;
	 *   then the core closes the sessions and peers that are left, and waits until all are gone, for three seconds at most;
	 *          subscribers hear session_down and session_gone of each, also of those that are late;
	 *   stop   ends its workers, after it gave them all that it has: no session, channel or peer is spoken of after it;
	 *   fini   when the bus is empty.
	 * Whoever counts sessions needs no close: with a worker that ends in stop it misses no event. All may be NULL. A plugin that a
	 * new configuration needs no longer runs on until the daemon ends. */
	void (*close)(void *self);
	void (*stop)(void *self);
	/* Frees everything, so that init may be called again. Worker threads are gone. */
	void (*fini)(void *self);
	/* Could this plugin work with vd_conf_current(), which is for this call the one to be judged? Changes nothing and
	 * posts nothing. self is NULL when the plugin is not running (viaductd --check). plan (may be NULL) may be told what
	 * else would change, such as what stands in files of the plugin's own. Findings go
	 * to vd_check_error() and vd_check_warning(). A negative errno, with err when no finding says why, or a finding that is
	 * an error, keeps the old configuration in force. */
	int (*check)(void *self, struct vd_plan *plan, struct vd_error *err);
	const struct vd_log_area *log_areas; /* ends with a NULL name; NULL: records of area .name only. Two plugins may share one */
	const struct vd_file_table *files; /* ends with a NULL option, may be NULL */
	/* Calls fn with each word, those of a kind one after the other; conf adds those that it makes, NULL: the built-in ones. The
	 * plugin may not be running. May be NULL. */
	void (*words)(const struct vd_conf *conf, vd_word_fn fn, void *arg);
	const struct vd_failure *const *failures; /* what can go wrong with set-ups (report.h); NULL-terminated, may be NULL */
	const struct vd_quirk *quirks; /* what is odd about clients (quirk.h); ends with a NULL client, may be NULL */
	const struct vd_shown *shown; /* what clients show then; ends with a NULL failure, may be NULL */
};

#define VD_PLUGIN(name_, ...)                                                                               \
	VD_API extern const struct vd_plugin name_##_LTX_vd_plugin;                                         \
	const struct vd_plugin name_##_LTX_vd_plugin = { .magic = VD_PLUGIN_MAGIC, .abi_major = VD_ABI_MAJOR, \
		.abi_minor = VD_ABI_MINOR, .struct_size = sizeof(struct vd_plugin), .abi_hash = VD_ABI_HASH,  \
		.build_id = VD_BUILD_ID, .name = #name_, __VA_ARGS__ }

/* Services: versioned tables of functions, found by name ("esp/1") and, where several exist, by variant
 * ("ppp.auth/1", "mschapv2"; NULL otherwise). A table's first member is "void *self", passed to each of its functions. */
VD_API int vd_service_provide(struct vd_host *host, const char *name, const char *variant, const void *table);
/* NULL when nobody provides it. Valid from init of a plugin that needs it until its fini. */
VD_API const void *vd_service_find(const char *name, const char *variant);
VD_API const char *vd_host_name(const struct vd_host *host);
/* The plugin cannot do its work and never will (its device cannot be opened): the daemon logs why and ends with status 1,
 * rather than serve half. For what fails after start() returned. */
VD_API void vd_host_failed(struct vd_host *host, const struct vd_error *err);

#ifdef __cplusplus
}
#endif
#endif

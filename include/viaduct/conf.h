/* Viaduct: configuration. Plugins declare options in a table; the core parses, checks and keeps the values.
 *
 * A configuration is an immutable, reference-counted tree of nodes; sections are maps of names. Every value has been
 * checked against the schema, so getters do not fail. Control thread.
 */
#ifndef VIADUCT_CONF_H
#define VIADUCT_CONF_H

#include <viaduct/addr.h>
#include <viaduct/base.h>
#include <viaduct/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vd_opt_type {
	VD_T_MAP,      /* declares a container that may be empty: "users", "pools.*" */
	VD_T_BOOL,     /* true, false */
	VD_T_UINT,     /* arg "1..65535" */
	VD_T_DURATION, /* 30s 8h 1d 500ms; value in ms; arg "1s..1d" */
	VD_T_RATE,     /* 20mbit; value in bit/s */
	VD_T_STRING,   /* any text; arg: largest length as a number, default 255 */
	VD_T_NAME,     /* [a-z0-9-]+ */
	VD_T_WORD,     /* one of arg "psk|cert" */
	VD_T_REF,      /* name of an object: arg is the section, "pools"; several "users|radius": written users/devices; words
			* that may stand in the place of a name "crypto:modern|legacy" */
	VD_T_ADDR,     /* IPv4 or IPv6 address */
	VD_T_PREFIX,   /* 10.0.0.0/8; an alternative word may be allowed: arg "all" */
	VD_T_RANGE,    /* 10.8.0.10-10.8.3.250, or a prefix */
	VD_T_SECRET,   /* !file PATH or !env NAME; never world-readable. One trailing LF or CR LF is dropped */
	VD_T_KEY,      /* like SECRET, but the octets stay with keys/1; the value is a secret id */
	VD_T_PATH,     /* !file PATH or a path: made absolute against the file that says it, not read */
};

#define VD_OPT_REQUIRED 1u /* must be given when the map around it is, which must be a map of the same table */
#define VD_OPT_LIST 2u     /* a sequence; a single value is a list of one */
#define VD_OPT_LIVE 4u     /* a reload may change it without touching sessions */
#define VD_OPT_KNOB 8u     /* looked up connection first, then section, then default: see vd_conf_knob */
#define VD_OPT_RESTART 16u /* only a restart changes it, although it stands in a map of names */

struct vd_opt {
	const char *path; /* "pools.*.range", "connections.*.l2tp.psk", "l2tp.hello"; NULL ends the table */
	enum vd_opt_type type;
	uint32_t flags;
	const char *def; /* as it would stand in YAML; NULL: none */
	const char *arg; /* by type, see above */
	const char *doc; /* one sentence for samples and man pages */
};

struct vd_conf;
struct vd_conf_node;

/* The configuration in force; never NULL while plugins run. Keep it across callbacks only with a reference. */
VD_API const struct vd_conf *vd_conf_current(void);
VD_API const struct vd_conf *vd_conf_ref(const struct vd_conf *conf);
VD_API void vd_conf_unref(const struct vd_conf *conf);

/* The node at a dotted path below from (NULL: the root): what was written, else the option's default, else NULL.
 * List items are reached by vd_conf_nth. */
VD_API const struct vd_conf_node *vd_conf_at(const struct vd_conf *conf, const struct vd_conf_node *from,
	const char *path);
/* The child with exactly this name (which may hold dots); NULL when there is none. No defaults. */
VD_API const struct vd_conf_node *vd_conf_child(const struct vd_conf_node *node, const char *name);
/* A protocol knob: connections.NAME.SECTION.OPTION, else SECTION.OPTION, else the default of either. connection may be
 * NULL. */
VD_API const struct vd_conf_node *vd_conf_knob(const struct vd_conf *conf, const char *connection, const char *section,
	const char *option);

/* Children of a map, or items of a list, in the order written. NULL node: 0. */
VD_API size_t vd_conf_count(const struct vd_conf_node *node);
VD_API const struct vd_conf_node *vd_conf_nth(const struct vd_conf_node *node, size_t i);
VD_API const char *vd_conf_name(const struct vd_conf_node *node);

/* Values. NULL nodes give false, 0, NULL or an empty value. A list's single getter gives its first item. */
VD_API bool vd_conf_bool(const struct vd_conf_node *node);
VD_API uint64_t vd_conf_uint(const struct vd_conf_node *node); /* UINT, DURATION (ms), RATE */
VD_API const char *vd_conf_str(const struct vd_conf_node *node); /* the scalar as written; PATH: absolute; REF: the name */
VD_API const struct vd_ip *vd_conf_ip(const struct vd_conf_node *node);
VD_API const struct vd_prefix *vd_conf_prefix(const struct vd_conf_node *node); /* NULL when the word was written */
VD_API bool vd_conf_range(const struct vd_conf_node *node, struct vd_ip *ret_first, struct vd_ip *ret_last);
VD_API struct vd_secret *vd_conf_secret(const struct vd_conf_node *node); /* SECRET; not a new reference */
VD_API uint64_t vd_conf_key(const struct vd_conf_node *node);             /* KEY: id for keys/1 */
/* SECRET, KEY: what its octets have that is probably not meant, "ends in a blank, which is part of the secret", for the report of a
 * proof that failed; NULL: nothing. Lives as long as the node. */
VD_API const char *vd_conf_odd(const struct vd_conf_node *node);
/* True when the value was written, false when it is a default. */
VD_API bool vd_conf_written(const struct vd_conf_node *node);
/* "30-staff.yaml:4" into out (at least 128 octets); "default" when not written. Returns out. */
VD_API char *vd_conf_origin(const struct vd_conf_node *node, char *out, size_t size);
/* Says in err where the value stands that it is about, when that was written. */
VD_API void vd_error_at(struct vd_error *err, const struct vd_conf_node *node);

/* For a plugin's check (plugin.h), as often as there is something to say: a finding at this value of vd_conf_current() or of a
 * file loaded by vd_conf_load_file; NULL: the configuration as a whole. Callers of the check show it as file:line:column. One
 * sentence without a full stop that names the option: "pools.staff.dns: 0.0.0.0 is no name server". Nothing happens outside of
 * a check. vd_check_error returns -EINVAL. */
VD_API int vd_check_error(const struct vd_conf_node *node, const char *fmt, ...) VD_PRINTF(2, 3);
VD_API void vd_check_warning(const struct vd_conf_node *node, const char *fmt, ...) VD_PRINTF(2, 3);

/* Parses one more YAML file with its own table (paths start at the file's root: "*.password"), as users/ files need.
 * On failure err has file:line:column of the first problem and n_errors (may be NULL) how many there were; within a plugin's
 * check all of them are findings of that check. The result is a configuration of its own, to be unref'd. */
VD_API int vd_conf_load_file(const char *path, const struct vd_opt *schema, const struct vd_conf **ret_conf,
	size_t *n_errors, struct vd_error *err);

/* What a reload would change, for a person: filled by the core and by the check hooks of plugins (plugin.h). */
struct vd_plan;
/* The differences between two configurations of one and the same table (vd_conf_load_file), as changes of this object:
 * "users.office", whose keys are then "alice.password". Secrets are shown as "(changed)" only. plan may be NULL. */
VD_API void vd_plan_compare(struct vd_plan *plan, const char *object, const struct vd_conf *old,
	const struct vd_conf *next);
/* Adds a remark to what the plan says of an object; without an effect when it says nothing. plan may be NULL. */
VD_API void vd_plan_note(struct vd_plan *plan, const char *object, const char *fmt, ...) VD_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif

/* The configuration as the daemon sees it: loading, all errors at once, installing, showing. Control thread. */
#ifndef CORE_CONF_H
#define CORE_CONF_H

#include <stdio.h>
#include <viaduct/conf.h>

/* One finding. line and column count from 1; 0 when it concerns a whole file. */
struct vd_conf_error {
	char *file;
	unsigned line, column;
	bool warning;
	char text[512]; /* what is wrong, and what was probably meant; no full stop */
};

/* Everything that was found, in the order found. Zeroed memory is an empty list. */
struct vd_conf_errors {
	struct vd_conf_error *v;
	size_t n, size;
	size_t n_errors; /* without warnings; counts on when the list is full (1,000 entries) */
	bool plugins_missing; /* set by the caller: a plugin was refused, so what nobody knows may belong to it */
	size_t n_unknown;     /* with plugins_missing: names that were left out because nobody knows them */
};

/* Appends one, with the path in its shortest form, unless the same is there already. file may be NULL. Without memory only the count grows, so that a bad configuration is never accepted. */
void vd_conf_errors_add(struct vd_conf_errors *errs, bool warning, const char *file, unsigned line, unsigned column,
	const char *fmt, ...) VD_PRINTF(6, 7);
/* Where vd_check_error and vd_check_warning, and the findings of vd_conf_load_file, go from now on; NULL: nowhere. Returns where
 * they went before. */
struct vd_conf_errors *vd_conf_judge(struct vd_conf_errors *errs);
/* Findings about what the core's values mean to each other and to this host, to where vd_conf_judge says. conf is vd_conf_current(). */
void vd_conf_judge_values(const struct vd_conf *conf);
/* Appends one about a plugin's check that gave only err: at the value whose origin it has, else at the configuration as a whole. */
void vd_conf_errors_add_err(struct vd_conf_errors *errs, const char *plugin, const struct vd_error *err);
/* Warns of secrets' files that others than root could replace, and of those that a reload, which is not root any more, could not
 * read. For a start as root, and its check. */
void vd_conf_secret_files(const struct vd_conf *conf, struct vd_conf_errors *errs);
/* "file:line:column", or what of it is known. Returns its length. */
size_t vd_conf_error_where(const struct vd_conf_error *e, char *out, size_t size);
/* The shortest form of a path that leads to the same folder: without //, . and, where no link is passed over, .. */
char *vd_conf_path(const char *path, char *out, size_t size);
/* Is an object of this section named by an option of another one? Returns the option that does, or NULL. */
const struct vd_conf_node *vd_conf_section_named(const struct vd_conf *conf, const char *section, char *ret_path, size_t size);
/* Frees the entries; the list is then empty and usable. */
void vd_conf_errors_free(struct vd_conf_errors *errs);
/* "file:line:column: error: text", one per line. */
void vd_conf_errors_print(const struct vd_conf_errors *errs, FILE *out);
/* A JSON array of {file, line, column, level, text}, with a newline behind. 0 or -EIO. */
int vd_conf_errors_json(const struct vd_conf_errors *errs, FILE *out);
/* The first error (not warning) in one line, for a struct vd_error or a log. Returns out. */
char *vd_conf_errors_first(const struct vd_conf_errors *errs, char *out, size_t size);

/* Options of the core itself; ends with a NULL path. Every function below that takes schemas adds it. */
extern const struct vd_opt vd_conf_core_schema[];

/* Is arg of this option a range that has a value? NULL: yes, or the type has no range; else what is wrong with it. */
const char *vd_conf_range_wrong(const struct vd_opt *opt);
/* Parses text as if it were a file of this name in dir (NULL: the current folder), to which !file paths are relative.
 * schemas: n tables, each ended by a NULL path; the tables must outlive the result. On success *ret is a new reference.
 * -EINVAL when errs got errors, -ENOMEM. */
int vd_conf_parse_text(const char *yaml, const char *name, const char *dir, const struct vd_opt *const *schemas,
	size_t n, struct vd_conf **ret, struct vd_conf_errors *errs);
/* Loads dir/viaduct.yaml and dir/conf.d/(*).yaml in the order of their names. words: the "accept/WORD" words that
 * plugins provide, without the prefix, and whole the "authenticate/SECTION" and "account/SECTION" of those whose sections
 * realms may name; NULL-terminated. NULL: accept and connect are not compared with anything. */
int vd_conf_load_dir(const char *dir, const struct vd_opt *const *schemas, size_t n, const char *const *words,
	struct vd_conf **ret, struct vd_conf_errors *errs);
/* The same, and forgets the result: `viaductd --check`. 0 when there is no error (warnings are none). */
int vd_conf_check(const char *dir, const struct vd_opt *const *schemas, size_t n, const char *const *words,
	struct vd_conf_errors *errs);
/* Makes conf the current one and takes over the caller's reference; the old one loses its. NULL: none. */
void vd_conf_install(struct vd_conf *conf);
/* Makes conf the current one for a while and returns the one before; no reference changes hands. */
struct vd_conf *vd_conf_swap(struct vd_conf *conf);

/* Writes a line "connections.staff.pool  # 30-staff.yaml:9" for each value that names this object, "pools/staff". Their
 * number, -EINVAL for what is no such name, -ENOENT when there is no such object, -EIO. */
int vd_conf_uses(const struct vd_conf *conf, const char *name, FILE *out);

enum vd_plan_effect {
	VD_PLAN_LIVE,    /* at once */
	VD_PLAN_NEW,     /* for sessions that begin afterwards */
	VD_PLAN_RESTART, /* not before a restart */
};
const char *vd_plan_effect_name(enum vd_plan_effect effect);

struct vd_plan_row {
	char *object, *key; /* "pools.staff" and "range"; key "": the object itself */
	char *old, *next;   /* as in YAML; "-": not there; next is "added" or "removed" for something whole */
	char *note;         /* "" when there is nothing to add */
	char origin[128];   /* of the new value, or of the old one when it is gone */
	enum vd_plan_effect effect;
	bool whole; /* an object, not a value */
};

/* Zeroed memory is an empty plan. */
struct vd_plan {
	struct vd_plan_row *v;
	size_t n, size;
	size_t more; /* changes that are not listed: beyond 2,000, or without memory */
	bool no_memory; /* it is not complete */
};
/* Appends a row; effect VD_PLAN_RESTART rows are never left out. note may be NULL. */
void vd_plan_add(struct vd_plan *plan, enum vd_plan_effect effect, const char *object, const char *key, const char *old,
	const char *next, const char *note);
/* All differences between two whole configurations. served (may be NULL) says of an option's path whether a running
 * plugin, or the core, has it: what belongs to others waits for a restart. */
void vd_plan_make(struct vd_plan *plan, const struct vd_conf *old, const struct vd_conf *next,
	bool (*served)(const char *path));
void vd_plan_free(struct vd_plan *plan);
/* Puts the values of old into next wherever plan says that only a restart changes them, so that next is what the running
 * process does. next must not be in use yet. 0 or -ENOMEM, and next is then good for nothing. */
int vd_conf_keep(struct vd_conf *next, const struct vd_conf *old, const struct vd_plan *plan);

#define VD_CONF_JSON 1u     /* one JSON object instead of YAML */
#define VD_CONF_ORIGINS 2u  /* where each value comes from */
#define VD_CONF_DEFAULTS 4u /* also options that were not written */
/* Writes the configuration for `config show`. Secrets are shown as where they come from, never as octets.
 * 0, -EIO, -ENOMEM. */
int vd_conf_dump(const struct vd_conf *conf, unsigned flags, FILE *out);

#endif

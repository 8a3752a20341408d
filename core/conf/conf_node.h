/* The tree behind a configuration. Private to core/conf*.c. Everything but secrets lives in the arena of its struct
 * vd_conf and goes with it. */
#ifndef CORE_CONF_NODE_H
#define CORE_CONF_NODE_H

#include "core/conf/conf.h"

#define CONF_FILE_MAX (1024 * 1024)
#define CONF_SECRET_MAX (64 * 1024)
#define CONF_NODES_MAX 100000
#define CONF_DEPTH_MAX 16
#define CONF_FILES_MAX 1000
#define CONF_NAME_MAX 63  /* of an object */
#define CONF_TEXT_MAX 255 /* of a key in a file of its own, such as a user name */
#define CONF_PATH_MAX 512

struct conf_file {
	const char *path; /* for errors */
	const char *base; /* its last component, for origins */
	const char *dir;  /* "" or ends with a slash */
};

enum conf_kind { CONF_NULL, CONF_SCALAR, CONF_LIST, CONF_MAP };
enum conf_style { CONF_PLAIN, CONF_QUOTED, CONF_TAG_FILE, CONF_TAG_ENV };

/* The schemas of all plugins as one tree; "*" stands for any name. */
struct conf_schema {
	const char *name;
	const struct vd_opt *opt; /* NULL: a map that only its options imply */
	struct conf_schema *child, *next;
	struct vd_conf_node *def; /* the default, checked; NULL: none */
};

struct vd_conf_node {
	const char *name; /* "" for list items */
	enum conf_kind kind;
	enum conf_style style;
	bool named; /* somebody refers to it; known after conf_lint */
	bool name_quoted, checked, is_default; /* checked: a node taken over by extends is looked at once */
	const char *text; /* scalar; a PATH is replaced by its absolute form when checked */
	const struct conf_file *file;
	unsigned key_line, key_column, line, column;
	const struct vd_opt *opt;
	const struct conf_schema *schema;
	struct vd_conf_node **items;
	uint32_t n, size;
	uint32_t *index; /* hash of names to position + 1, when there are many */
	uint32_t index_size, index_seed;
	uint8_t extended; /* enum of conf_check.c */
	bool root_only, replaceable; /* the secret's file: no other than root reads it; others may put another one there */
	struct vd_conf_node *next_held; /* of the nodes that hold a secret or key */
	struct vd_secret *secret;
	uint64_t number; /* BOOL, UINT, DURATION, RATE; KEY: the id */
	struct vd_ip ip, ip_last;
	struct vd_prefix prefix;
	uint8_t digest[32]; /* KEY: keyed, for comparing */
	const char *odd;    /* SECRET, KEY: what is probably not meant about its octets; NULL: nothing */
};

struct conf_chunk;
struct vd_conf {
	unsigned refs;
	struct conf_chunk *chunks;
	struct vd_conf_node *root, *held;
	struct conf_schema *schema;
	size_t nodes;
	uint32_t seed;   /* of the indexes */
	bool free_names; /* names at the top are any text: a file of its own */
	bool broken;     /* a file or section could not be read: what is missing may have been in it */
	const struct conf_file *main; /* what is said about the configuration as a whole is said at its beginning */
};

/* Zeroed memory of the configuration; NULL when out of memory. */
void *conf_alloc(struct vd_conf *conf, size_t size);
char *conf_strndup(struct vd_conf *conf, const char *text, size_t len);
struct vd_conf *conf_new(void);
/* A new node; NULL when out of memory. The caller counts nodes. */
struct vd_conf_node *conf_node_new(struct vd_conf *conf, enum conf_kind kind, const struct conf_file *file);
/* Appends child to a map or list. 0 or -ENOMEM. */
int conf_node_add(struct vd_conf *conf, struct vd_conf_node *node, struct vd_conf_node *child);
/* Takes child out of a map, when it is there. 0 or -ENOMEM. */
int conf_node_remove(struct vd_conf *conf, struct vd_conf_node *node, const struct vd_conf_node *child);
struct vd_conf_node *conf_node_find(const struct vd_conf_node *node, const char *name);
/* Schema below s for this name: the exact one, else "*", else NULL. s may be NULL. */
const struct conf_schema *conf_schema_find(const struct conf_schema *s, const char *name);
bool conf_schema_is_map(const struct conf_schema *s);
bool conf_is_secret(const struct vd_conf_node *node);

/* Builds conf->schema from tables. Contradictions between tables and wrong defaults go to errs. 0 or -ENOMEM. */
int conf_schema_build(struct vd_conf *conf, const struct vd_opt *const *tables, size_t n, struct vd_conf_errors *errs);

/* A file's record. path is copied. NULL when out of memory. */
struct conf_file *conf_file_new(struct vd_conf *conf, const char *path, const char *dir);
/* Parses one document into nodes; *ret is NULL when it is empty. -EINVAL with errors in errs, -ENOMEM. */
int conf_yaml(struct vd_conf *conf, const struct conf_file *file, const char *text, size_t len,
	struct vd_conf_node **ret, struct vd_conf_errors *errs);

/* Moves the sections of one file's document into conf->root; the same object twice is an error. 0 or -ENOMEM. */
int conf_merge(struct vd_conf *conf, struct vd_conf_node *doc, struct vd_conf_errors *errs);
/* Checks conf->root against the schema: extends, names, types, references, required options. 0 or -ENOMEM. */
int conf_check_all(struct vd_conf *conf, const char *const *words, struct vd_conf_errors *errs);
/* Takes a scalar's text apart by its option's type. path names it in errors. False when an error was added. */
bool conf_value(struct vd_conf *conf, struct vd_conf_node *node, const char *path, struct vd_conf_errors *errs);
/* Is text one of "a|b|c"? */
bool conf_word_of(const char *words, const char *text);
/* A whole list or a scalar. */
bool conf_values(struct vd_conf *conf, struct vd_conf_node *node, const char *path, struct vd_conf_errors *errs);

/* Warnings about a configuration without errors: what nobody uses, what is probably meant otherwise. words: as for
 * conf_check_all. */
void conf_lint(const struct vd_conf *conf, const char *const *words, struct vd_conf_errors *errs);

/* Where the findings of a check go, NULL outside of one: see vd_conf_judge. */
struct vd_conf_errors *conf_judged(void);
/* An error at a value, or at the key it belongs to. */
void conf_bad(struct vd_conf_errors *errs, const struct vd_conf_node *node, const char *fmt, ...) VD_PRINTF(3, 4);
void conf_bad_key(struct vd_conf_errors *errs, const struct vd_conf_node *node, const char *fmt, ...) VD_PRINTF(3, 4);

/* Collects the candidate nearest to what was written. Zeroed except wrong. */
struct conf_guess {
	const char *wrong;
	const char *best;
	unsigned distance;
	char known[160]; /* the first candidates, for when nothing is near */
	size_t n_known;
};
void conf_guess_try(struct conf_guess *g, const char *candidate);
/* "; did you mean `x`?" or "; known are a, b", or "" when there is no candidate. Valid until the next call on out. */
const char *conf_guess_hint(const struct conf_guess *g, char *out, size_t size);

#endif

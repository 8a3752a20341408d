/* aaa_users: accounts in YAML files. The store of one file, and the check of one login against it. Control thread. */
#ifndef AAA_USERS_H
#define AAA_USERS_H

#include <viaduct/conf.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/topics.h>

/* What stat says of a file, to see that it is another or changed; also its owner and mode may (ctime). */
struct users_stamp {
	int64_t v[7];
};

struct users_secret {
	const struct vd_conf_node *user;
	struct users_stamp seen;
};

/* One file of accounts: users.NAME.file. */
struct users_file {
	char name[VD_NAME_MAX];
	char path[1024];
	const struct vd_conf *conf;   /* the last content that was right */
	struct users_secret *secrets; /* of its accounts, in the order of their addresses in memory; may be missing */
	size_t n_secrets;
	struct users_stamp seen;
	uint64_t looked, tried; /* vd_now() of the last stat, of the last reading */
	bool failed;            /* what is there now is wrong, or cannot be read */
	char said[512];         /* the reason that was reported last */
	uint8_t blind[16];      /* stands in for the hash of a user who does not exist */
};

extern const struct vd_opt users_file_schema[];
/* Reads the file. On failure what was read before stays in force, and err says what is wrong at which line. */
int users_file_load(struct users_file *file, struct vd_error *err);
/* Reads it again when it changed (looks at most once a second), when the secret of this user (name as on the wire)
 * changed, or, every ten seconds, after a failure. 1: read, 0: nothing new to say, negative errno with err: once per change. */
int users_file_refresh(struct users_file *file, const char *user, struct vd_error *err);
void users_file_clear(struct users_file *file);
/* The account for a name as on the wire: the exact one, else the one without DOMAIN\. NULL: none. */
const struct vd_conf_node *users_file_find(const struct users_file *file, const char *user);

/* ---- watch.c ---- */
/* Remembers what path looks like now; false when it looks as it did. */
bool users_stamp(const char *path, struct users_stamp *stamp);
/* The file of the account's secret. False when it has none, or it is too long. */
bool users_secret_path(const struct users_file *file, const struct vd_conf *conf, const struct vd_conf_node *user,
	char *out, size_t size);
/* Puts what to do about it into err when this file, or a folder on the way to it, may not be read by the user we are.
 * False when it may, or is missing: err is untouched. */
bool users_forbidden(const char *path, struct vd_error *err);

/* ---- judge.c ---- */
/* Findings about the last of n files, whose accounts have been read, also against those before it (conf NULL: not read). where: what
 * names the file in conf. */
void users_judge(const struct vd_conf *conf, const struct users_file *files, size_t n, const struct vd_conf_node *where);

/* ---- announce.c ---- */
struct users_reserved {
	struct vd_address_reserved *v; /* in order */
	size_t n;
};
/* Tells the pools which dedicated addresses are new and which are gone, compared with held, which is then what the
 * files say. -ENOMEM: nothing was told. */
int users_announce(struct users_reserved *held, const struct users_file *files, size_t n);

/* ---- check.c ---- */
/* Compares the evidence. ret_answer is filled in on VD_ACCEPT; why has the reason otherwise, for the log only: the client
 * must not learn whether the user exists. VD_PASS for a method that is not ours. */
enum vd_verdict users_check(const struct users_file *file, const struct vd_authenticate *request,
	struct vd_authenticated *ret_answer, struct vd_error *why);

#endif

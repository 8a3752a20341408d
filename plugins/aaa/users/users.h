/* aaa_users: accounts in YAML files. The store of one file, and the check of one login against it. Control thread. */
#ifndef AAA_USERS_H
#define AAA_USERS_H

#include <viaduct/conf.h>
#include <viaduct/plugin.h>
#include <viaduct/topics.h>

/* One file of accounts: users.NAME.file. */
struct users_file {
	char name[VD_NAME_MAX];
	char path[1024];
	const struct vd_conf *conf; /* the last content that was right */
	int64_t seen[5];            /* what stat said of it: device, inode, size, mtime */
	uint64_t looked;            /* vd_now() of the last stat */
	uint8_t blind[16];          /* stands in for the hash of a user who does not exist */
};

/* Reads the file. On failure what was read before stays in force, and err says what is wrong at which line. */
int users_file_load(struct users_file *file, struct vd_error *err);
/* Reads it again when it changed; looks at most once a second. 1: read, 0: nothing new, negative errno with err. */
int users_file_refresh(struct users_file *file, struct vd_error *err);
void users_file_clear(struct users_file *file);
/* The account for a name as on the wire: the exact one, else the one without DOMAIN\. NULL: none. */
const struct vd_conf_node *users_file_find(const struct users_file *file, const char *user);

/* Compares the evidence. ret_answer is filled in on VD_ACCEPT; why has the reason otherwise, for the log only: the client
 * must not learn whether the user exists. VD_PASS for a method that is not ours. */
enum vd_verdict users_check(const struct users_file *file, const struct vd_authenticate *request,
	struct vd_authenticated *ret_answer, struct vd_error *why);

#endif

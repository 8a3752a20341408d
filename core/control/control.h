/* The control socket: a Unix stream of JSON lines, for viaductctl and other programs. Control thread.
 *   request  {"id": ANY, "command": "session.list", "args": {...}}
 *   reply    {"id": ANY, "ok": true, "result": ...} or {"id": ANY, "ok": false, "error": "..."}
 *   stream   {"id": ANY, "topic": "session_up", ...}, and {"id": ANY, "lost": N} when the reader is too slow
 */
#ifndef CORE_CONTROL_H
#define CORE_CONTROL_H

#include <jansson.h>
#include <sys/types.h>

#include <viaduct/base.h>

/* Makes the socket at path while we are root, when it is in a folder of root's; else vd_control_start does, as the daemon's user. A
 * socket that a killed daemon left is replaced. */
int vd_control_bind(const char *path, struct vd_error *err);
/* Listens at path. */
int vd_control_start(const char *path, struct vd_error *err);
void vd_control_stop(void);
/* Where config.check reads; a copy is kept. Default: the compiled-in folder. */
void vd_control_config_dir(const char *dir);
const char *vd_control_dir(void);
/* vd_now() of the start. */
uint64_t vd_control_started(void);
/* root, our own user, and members of group (-1: there is none) may command. */
bool vd_control_allowed(uid_t uid, gid_t gid, const gid_t *groups, size_t n, gid_t group);

/* One request that waits for its reply. Ends with exactly one of reply and fail, which free it; both are harmless when
 * the asker has gone. */
struct vd_call;
/* Takes over result. */
void vd_call_reply(struct vd_call *call, json_t *result);
void vd_call_fail(struct vd_call *call, const char *fmt, ...) VD_PRINTF(2, 3);
/* Turns the call into a stream of bus records; topics (may be NULL) is an array of names, copied. */
void vd_call_tail(struct vd_call *call, json_t *topics);

/* A string that may have come from the network, or was cut: safe (text.h), and therefore always JSON. NULL is "". */
json_t *vd_text_json(const char *text);
/* The same for lines: newlines and tabs stay. */
json_t *vd_lines_json(const char *text, size_t len);

struct vd_command {
	const char *name, *args, *doc;
	void (*fn)(struct vd_call *call, json_t *args); /* args is an object; valid during the call */
};
extern const struct vd_command vd_commands[]; /* ends with a NULL name */

#endif

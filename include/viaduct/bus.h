/* Viaduct: the message bus. Typed events (1:n, past tense) and requests (one answer), on the control thread only.
 *
 * Both are delivered through one FIFO that is drained after the current callback: nobody is called re-entrantly and
 * everybody sees one order. A handler must not block and should return within 5 ms. Packets never touch the bus.
 */
#ifndef VIADUCT_BUS_H
#define VIADUCT_BUS_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_host; /* the plugin that is calling; given to init (plugin.h). The core itself uses NULL */

/* ---- field tables: one generic piece of code copies, prints, JSON-encodes and redacts every message ---- */
enum vd_field_type {
	VD_F_BOOL,   /* bool */
	VD_F_U8,     /* uint8_t */
	VD_F_U16,    /* uint16_t */
	VD_F_U32,    /* uint32_t */
	VD_F_U64,    /* uint64_t */
	VD_F_ID,     /* uint64_t, shown as "s-42": arg is the letter as a string */
	VD_F_ENUM,   /* uint8_t, arg is a NULL-terminated array of names */
	VD_F_TEXT,   /* char[size], terminated */
	VD_F_IP,     /* struct vd_ip */
	VD_F_SA,     /* struct vd_sa */
	VD_F_PREFIX, /* struct vd_prefix */
	VD_F_IPS,    /* struct vd_ip[size / sizeof(struct vd_ip)], family 0 ends the list */
	VD_F_BYTES,  /* uint8_t[size], fixed; hexadecimal in JSON */
	VD_F_BLOB,   /* struct vd_blob: deep-copied by the bus */
};

#define VD_FIELD_SECRET 1u /* never printed, encoded or recorded: shown as "(secret)" */
#define VD_FIELD_MS 2u     /* a time in milliseconds */

struct vd_blob {
	const uint8_t *p;
	uint32_t len; /* at most 65,535 */
};

struct vd_field {
	const char *name;
	enum vd_field_type type;
	uint16_t offset, size;
	uint32_t flags;
	const void *arg;
};

#define VD_FIELD(strct, member, type_) \
	{ #member, type_, offsetof(struct strct, member), sizeof(((struct strct *)0)->member), 0, NULL }
#define VD_FIELD_X(strct, member, type_, flags_, arg_) \
	{ #member, type_, offsetof(struct strct, member), sizeof(((struct strct *)0)->member), flags_, arg_ }

enum vd_topic_kind { VD_EVENT, VD_REQUEST };
/* What happens when the FIFO is full (64 Ki entries). */
enum vd_pressure {
	VD_PRESSURE_KEEP,     /* never dropped: session life cycle; new work is refused at the edge instead */
	VD_PRESSURE_DROP,     /* dropped and counted */
	VD_PRESSURE_COALESCE, /* an undelivered message with the same first id field is replaced */
};

struct vd_topic {
	const char *name;
	enum vd_topic_kind kind;
	enum vd_pressure pressure;
	size_t size; /* of the struct */
	const struct vd_field *fields;
	size_t n_fields;
	size_t answer_size; /* requests only */
	const struct vd_field *answer_fields;
	size_t n_answer_fields;
	const char *doc;
};

/* ---- events ---- */
/* Copies the struct (and blobs) into the FIFO. -ENOBUFS when dropped, -ENOMEM. */
VD_API int vd_event_post(const struct vd_topic *topic, const void *event);
/* Calls fn for each later event of that topic. The name must be known (topics.h or a loaded plugin's), else -ENOENT. */
VD_API int vd_event_subscribe(struct vd_host *host, const char *topic, void (*fn)(void *arg, const void *event),
	void *arg);

/* ---- requests ---- */
enum vd_verdict {
	VD_PASS,        /* not mine: ask the next provider */
	VD_ACCEPT,      /* final, with the answer struct */
	VD_REJECT,      /* final, with the reason */
	VD_CONTINUE,    /* a further round is needed; the answer says what to send. Pins the conversation to this provider */
	VD_PENDING,     /* a human is asked; the deadline is extended to the provider's patience */
	VD_UNAVAILABLE, /* cannot say now */
};
VD_API const char *vd_verdict_name(enum vd_verdict verdict);

/* How several providers are combined. */
enum vd_request_mode {
	VD_FIRST, /* in order until one does not PASS */
	VD_ALL,   /* everybody; reject wins, then unavailable, then accept; all PASS is ACCEPT */
};

#define VD_REQUEST_FALLBACK 1u /* UNAVAILABLE also moves on to another provider, not only to another instance of it */

struct vd_request_opts {
	enum vd_request_mode mode;
	uint32_t flags;
	uint32_t deadline_ms;         /* 0: 10 s. When it passes the answer is UNAVAILABLE with -ETIMEDOUT */
	uint64_t session;             /* cancelled when that session closes; 0: none */
	uint64_t conversation;        /* of an earlier CONTINUE; 0: a new one */
	const char *const *providers; /* NULL-terminated names in order, "users/devices" = instance devices of provider
	                                 users; NULL: all registered, by name */
};

struct vd_answer {
	enum vd_verdict verdict;
	const void *data;       /* the topic's answer struct on ACCEPT and CONTINUE, else NULL; valid during the call */
	struct vd_error why;    /* on REJECT and UNAVAILABLE */
	char provider[64];      /* who said so */
	uint64_t conversation;  /* for the next round of a CONTINUE */
};

/* Asks. done is called exactly once, through the FIFO, unless cancelled. Returns the request id (> 0), or 0 when out of
 * memory. The struct is copied. */
VD_API uint64_t vd_request(const struct vd_topic *topic, const void *request, const struct vd_request_opts *opts,
	void (*done)(void *arg, const struct vd_answer *answer), void *arg);
/* done will not be called; providers are told. Harmless for an unknown id. */
VD_API void vd_request_cancel(uint64_t request);
/* Cancels all that were asked for this session. Used by the core when it closes. */
VD_API void vd_request_cancel_session(uint64_t session);

/* What a provider sees of one request. Lives until answered or cancelled; keep only the ticket across callbacks. */
struct vd_ask {
	uint64_t ticket;
	const char *instance; /* "" when the name had none */
	uint64_t session, conversation;
	const void *data; /* the request struct */
};
/* Registers a provider of topic under a name ("users", "pool"). fn must answer each ask once, at once or later.
 * cancel (may be NULL) is called when nobody waits any longer; answering then is harmless. */
VD_API int vd_provide(struct vd_host *host, const char *topic, const char *name,
	void (*fn)(void *arg, const struct vd_ask *ask), void (*cancel)(void *arg, uint64_t ticket), void *arg);
/* answer is copied (ACCEPT, CONTINUE) and may be NULL otherwise; why may be NULL. A late or second answer is dropped and
 * counted. */
VD_API void vd_reply(uint64_t ticket, enum vd_verdict verdict, const void *answer, const struct vd_error *why);

/* ---- generic code on field tables ---- */
/* One line of JSON with the fields in order, secrets redacted. Returns the length, or -ENOSPC. */
VD_API int vd_fields_json(const struct vd_field *fields, size_t n, const void *data, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif

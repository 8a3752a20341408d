/* The authenticator's side of a PPP method in which the client sends its evidence once and is told yes or no: CHAP with
 * MD5, MS-CHAPv2, PAP. Retransmission, repeated requests, the question to the core, export and import are the same for
 * all; the kind says what the packets hold. The cryptography is the provider's. Control thread. No state of its own. */
#ifndef PPP_LIB_LOGIN_H
#define PPP_LIB_LOGIN_H

#include "map.h"

#include <viaduct/link.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>

enum ppp_login_counter { LOGIN_LENGTH, LOGIN_CODE, LOGIN_ID, LOGIN_REQUEST, LOGIN_BUSY, LOGIN_REPEATED, LOGIN_NOT_ASKED,
	LOGIN_LATE_ANSWER, LOGIN_NO_AUTHENTICATOR, LOGIN_COUNTERS };
/* Their names, for the plugin of this name. */
#define PPP_LOGIN_COUNTERS(plugin) \
	{ plugin ".drop.length", plugin ".drop.code", plugin ".drop.id", plugin ".drop.request", plugin ".busy", \
		plugin ".repeated", plugin ".not_asked", plugin ".late_answer", plugin ".no_authenticator" }

/* A no. */
struct ppp_refusal {
	bool unavailable;         /* nobody could say */
	int code;                 /* of the answer: what it means stands with `authenticate` in topics.h */
	bool again;               /* another try is allowed, against this challenge */
	const uint8_t *challenge; /* 16 octets, fresh */
};

struct ppp_login_kind {
	const char *name;   /* of the method */
	const char *counters[LOGIN_COUNTERS];
	const char *silent; /* what the client did not answer, for the report: "chap challenge" */
	uint8_t method;     /* enum vd_auth_method */
	/* CHAP: we begin with a Challenge, and answers carry its identifier. PAP: the client begins and chooses the
	 * identifiers; our message has its length in front. */
	bool challenges;
	uint8_t option[3], option_len, strength; /* as in struct vd_ppp_auth_1 */
	/* The client's evidence, which request gets; false: malformed. */
	bool (*parse)(struct vd_rd *body, struct vd_authenticate *request);
	/* Our message with a yes; 0: the provider did not give what it takes. */
	size_t (*welcome)(const struct vd_authenticated *who, char *out, size_t size);
	/* With a no: one text for an unknown user and a wrong password, another when nobody could say. */
	size_t (*refuse)(const struct ppp_refusal *why, char *out, size_t size);
	/* The message of a no can carry another challenge, so that the client may try again (`ppp.auth_retries`). */
	bool retries;
	uint8_t change;           /* code of its request for another password, of which the body has change_len octets; 0: none */
	uint16_t change_len;
};

struct ppp_logins { /* the plugin */
	const struct ppp_login_kind *kind;
	struct vd_ppp_auth_1 service;
	struct ppp_map states;
	struct vd_log_limit limit;
};

/* Makes ret_logins and provides ppp.auth/1 with it. */
int ppp_logins_new(struct vd_host *host, const struct ppp_login_kind *kind, struct ppp_logins **ret_logins,
	struct vd_error *err);
void ppp_logins_free(struct ppp_logins *logins);

/* The user's name as it stands in packets, into request; a C string's end that some clients send along is taken off.
 * False: it is too long, or has another zero octet in it. */
bool ppp_login_user(const uint8_t *name, size_t len, struct vd_authenticate *request);
/* Texts for welcome and refuse of methods without a form of their own. */
size_t ppp_login_welcome(const struct vd_authenticated *who, char *out, size_t size);
size_t ppp_login_refuse(const struct ppp_refusal *why, char *out, size_t size);

#endif

/* Plugin ppp_auth_mschapv2: MS-CHAPv2 toward the client (RFC 2759, over CHAP, RFC 1994); client.c is the other side. The cryptography is the
 * provider's: it gets challenges and response, and says the authenticator of the Success packet.
 * Password change and retries (R=1) are not offered. */
#include "../lib/map.h"
#include "chap.h"
#include "client.h"

#include <viaduct/conf.h>
#include <viaduct/crypto.h>
#include <viaduct/link.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/secret.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHALLENGE_MS 3000
#define CHALLENGE_TRIES 10
#define RESPONSE_SIZE 49 /* 16 Peer-Challenge, 8 reserved, 24 NT-Response, 1 flags (RFC 2759 section 4) */

enum state { CHALLENGED, BUSY, ACCEPTED, REJECTED, STATES };

struct self {
	struct vd_ppp_auth_1 service;
	struct ppp_map states;
	struct vd_log_limit limit;
};

struct mschapv2 {
	struct ppp_map_node node; /* id: the session */
	struct self *self;
	const struct vd_ppp_auth_host *host;
	void *host_arg;
	struct vd_timer timer; /* repeats the Challenge */
	uint8_t state, id, tries;
	uint8_t challenge[16];
	uint8_t result_len;
	char result[128]; /* message of Success or Failure, for Responses that come again */
};

static void send_packet(struct mschapv2 *m, uint8_t code, const struct vd_slice *value, const char *text, size_t len)
{
	uint8_t room[4 + 1 + 16 + 255];
	struct vd_wr w;

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u8(&w, code);
	vd_wr_u8(&w, m->id);
	vd_wr_u16(&w, (uint16_t)(4 + (value ? 1 + value->len : 0) + len));
	if (value) {
		vd_wr_u8(&w, (uint8_t)value->len);
		vd_wr_put(&w, value->p, value->len);
	}
	vd_wr_put(&w, text, len);
	if (vd_wr_ok(&w))
		m->host->send(m->host_arg, CHAP, room, w.len);
}

static void send_challenge(struct mschapv2 *m)
{
	const char *name = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "gateway.name"));
	struct vd_slice value = { m->challenge, sizeof(m->challenge) };

	if (!name || !name[0])
		name = "viaduct";
	m->tries++;
	send_packet(m, CODE_CHALLENGE, &value, name, strnlen(name, 200));
	vd_timer_start(&m->timer, CHALLENGE_MS);
}

static void send_result(struct mschapv2 *m)
{
	send_packet(m, m->state == ACCEPTED ? CODE_SUCCESS : CODE_FAILURE, NULL, m->result, m->result_len);
}

/* Ends it with a Failure. The text is one and the same for an unknown user and a wrong password. 649 ("no permission to
 * dial in") stands for "our provider did not answer": Windows takes 691 for a wrong password, throws the stored one
 * away and asks the user for another, which would make an outage here a flood of password calls. */
static void fail(struct mschapv2 *m, unsigned error, const char *text, const char *reason)
{
	uint8_t again[16];
	char hex[33];

	/* A fresh challenge must be in the packet although no retry is allowed (RFC 2759 section 6). */
	vd_random_seen("challenge", again, sizeof(again));
	vd_hex(hex, sizeof(hex), again, sizeof(again));
	for (char *c = hex; *c; c++)
		if (*c >= 'a')
			*c = (char)(*c - 'a' + 'A');
	m->state = REJECTED;
	vd_timer_stop(&m->timer);
	m->result_len = (uint8_t)vd_format(m->result, sizeof(m->result), "E=%u R=0 C=%s V=3 M=%s", error, hex, text);
	send_result(m);
	m->host->rejected(m->host_arg, reason);
}

static void unavailable(struct mschapv2 *m)
{
	fail(m, 649, "Authentication service unavailable", "the authentication provider did not answer");
}

static void timer_fired(struct vd_timer *t)
{
	struct mschapv2 *m = VD_CONTAINER_OF(t, struct mschapv2, timer);

	if (m->state != CHALLENGED)
		return;
	if (m->tries >= CHALLENGE_TRIES) {
		m->state = REJECTED;
		m->result_len = 0;
		vd_report_failure(&(struct vd_report){ .kind = VD_FAIL_AUTH_SILENT, .session = m->node.id,
			.offered = "mschapv2" });
		m->host->rejected(m->host_arg, "the client did not answer the challenge");
		return;
	}
	send_challenge(m);
}

static void accept(struct mschapv2 *m, const struct vd_authenticated *who)
{
	/* Without the right S= the client hangs up with error 778; a provider that has none is misconfigured. */
	if (who->authenticator[0] != 'S' || who->authenticator[1] != '=' ||
		strnlen(who->authenticator, sizeof(who->authenticator)) != 42) {
		vd_count("ppp_auth_mschapv2.no_authenticator", 1);
		vd_log_limited(&m->self->limit, VD_LOG_ERROR, "ppp", &(struct vd_ids){ .session = m->node.id },
			"the provider accepted %s but gave no MS-CHAPv2 authenticator", who->user);
		unavailable(m);
		return;
	}
	m->state = ACCEPTED;
	vd_timer_stop(&m->timer);
	m->result_len = (uint8_t)vd_format(m->result, sizeof(m->result), "%s M=Welcome", who->authenticator);
	send_result(m);
	m->host->accepted(m->host_arg, who);
}

static void authenticated(void *arg, uint64_t session, const struct vd_answer *answer)
{
	struct self *self = arg;
	struct ppp_map_node *node = ppp_map_find(&self->states, session);
	struct mschapv2 *m = node ? VD_CONTAINER_OF(node, struct mschapv2, node) : NULL;

	if (!m || m->state != BUSY) {
		vd_count("ppp_auth_mschapv2.late_answer", 1);
		return;
	}
	switch (answer->verdict) {
	case VD_ACCEPT:
		accept(m, answer->data);
		break;
	case VD_REJECT:
	case VD_PASS:
		fail(m, 691, "Authentication failed", "authentication failed");
		break;
	default: /* CONTINUE makes no sense here: a provider that asks for another round cannot judge MS-CHAPv2 */
		unavailable(m);
	}
}

/* A Response (RFC 2759 section 4): false when malformed. */
static bool parse_response(struct vd_rd *r, struct vd_authenticate *request)
{
	const uint8_t *name;
	size_t len;

	if (vd_rd_u8(r) != RESPONSE_SIZE)
		return false;
	vd_rd_copy(r, request->peer_challenge, sizeof(request->peer_challenge));
	vd_rd_take(r, 8);
	vd_rd_copy(r, request->response, sizeof(request->response));
	vd_rd_u8(r);
	name = vd_rd_rest(r, &len);
	if (!vd_rd_ok(r))
		return false;
	if (len && name[len - 1] == 0)
		len--; /* a C string's end that some clients send along */
	if (len >= sizeof(request->user) || (len && memchr(name, 0, len)))
		return false;
	if (len)
		memcpy(request->user, name, len);
	request->user[len] = 0;
	return true;
}

static void response(struct mschapv2 *m, struct vd_rd *r)
{
	struct vd_authenticate request = { .method = VD_AUTH_MSCHAPV2, .id = m->id };
	int ret;

	if (!parse_response(r, &request)) {
		vd_count("ppp_auth_mschapv2.drop.response", 1);
		return;
	}
	memcpy(request.challenge, m->challenge, sizeof(request.challenge));
	m->state = BUSY;
	vd_timer_stop(&m->timer);
	ret = vd_session_authenticate(m->node.id, &request, 0, authenticated, m->self);
	vd_wipe(&request, sizeof(request));
	if (ret == -EBUSY || ret == -EAGAIN) {
		/* A question from before LCP began anew is still open, or there is no budget now: it is repeated. */
		vd_count("ppp_auth_mschapv2.not_asked", 1);
		m->state = CHALLENGED;
		vd_timer_start(&m->timer, CHALLENGE_MS);
	} else if (ret < 0) {
		unavailable(m);
	}
}

static void method_input(void *self, void *state, const uint8_t *p, size_t len)
{
	struct mschapv2 *m = state;
	struct vd_rd body;
	uint8_t code, id;

	(void)self;
	if (!chap_parse(p, len, &code, &id, &body))
		return;
	if (code != CODE_RESPONSE) {
		vd_count("ppp_auth_mschapv2.drop.code", 1);
		return;
	}
	if (id != m->id) {
		vd_count("ppp_auth_mschapv2.drop.id", 1);
		return;
	}
	struct vd_rd copy = body;
	vd_rd_u8(&copy);
	const uint8_t *value = vd_rd_take(&copy, 49);
	if (value)
		vd_conceal(value, 49);
	switch (m->state) {
	case CHALLENGED:
		response(m, &body);
		break;
	case BUSY:
		vd_count("ppp_auth_mschapv2.busy", 1);
		break;
	default:
		/* Our answer was lost. A session that is up says it again (RFC 1994 section 4.2), and nothing more. */
		vd_count("ppp_auth_mschapv2.repeated", 1);
		if (m->result_len && m->tries < UINT8_MAX) {
			m->tries++; /* bounds how often one login is answered */
			send_result(m);
		}
	}
}

static struct mschapv2 *make(struct self *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg)
{
	struct mschapv2 *m;

	if (ppp_map_find(&self->states, session))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->node.id = session;
	m->self = self;
	m->host = host;
	m->host_arg = host_arg;
	vd_timer_init(&m->timer, timer_fired);
	if (ppp_map_add(&self->states, &m->node) < 0) {
		free(m);
		return NULL;
	}
	return m;
}

static int method_start(void *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg,
	void **ret_state)
{
	struct mschapv2 *m = make(self, session, host, host_arg);

	if (!m)
		return -ENOMEM;
	vd_random_seen("challenge", m->challenge, sizeof(m->challenge));
	vd_random_seen("id", &m->id, sizeof(m->id));
	*ret_state = m;
	send_challenge(m);
	return 0;
}

static void method_end(void *self_, void *state)
{
	struct self *self = self_;
	struct mschapv2 *m = state;

	vd_timer_stop(&m->timer);
	ppp_map_remove(&self->states, &m->node);
	vd_wipe(m, sizeof(*m));
	free(m);
}

static int method_export(void *self, void *state, struct vd_wr *w)
{
	struct mschapv2 *m = state;
	uint64_t left = vd_timer_left(&m->timer);
	bool busy = m->state == BUSY;

	(void)self;
	/* An open question does not travel: whoever imports it waits for the Response that the client repeats. */
	vd_wr_u8(w, busy ? CHALLENGED : m->state);
	vd_wr_u8(w, m->id);
	vd_wr_u8(w, m->tries);
	vd_wr_put(w, m->challenge, sizeof(m->challenge));
	vd_wr_u8(w, m->result_len);
	vd_wr_put(w, m->result, m->result_len);
	vd_wr_u32(w, busy ? CHALLENGE_MS : vd_timer_armed(&m->timer) ? (uint32_t)left : UINT32_MAX);
	return vd_wr_ok(w) ? 0 : -ENOSPC;
}

static int method_import(void *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg,
	struct vd_rd *r, void **ret_state)
{
	struct mschapv2 *m = make(self, session, host, host_arg);
	uint32_t left;

	if (!m)
		return -ENOMEM;
	m->state = vd_rd_u8(r);
	m->id = vd_rd_u8(r);
	m->tries = vd_rd_u8(r);
	vd_rd_copy(r, m->challenge, sizeof(m->challenge));
	m->result_len = vd_rd_u8(r);
	if (m->result_len <= sizeof(m->result))
		vd_rd_copy(r, m->result, m->result_len); /* which zeroes its target when it fails */
	left = vd_rd_u32(r);
	if (!vd_rd_done(r) || m->result_len > sizeof(m->result) || m->state >= STATES || m->state == BUSY) {
		method_end(self, m);
		return -EBADMSG;
	}
	if (left != UINT32_MAX)
		vd_timer_start(&m->timer, left);
	*ret_state = m;
	return 0;
}

static const char *const provides[] = { "ppp.auth/1", "ppp.auth.client/1", NULL };

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct self *self = calloc(1, sizeof(*self));
	int r;

	if (!self)
		return vd_error_set(err, -ENOMEM, "out of memory");
	self->limit = (struct vd_log_limit)VD_LOG_LIMIT(5, 10000);
	self->service = (struct vd_ppp_auth_1){ .self = self, .protocol = CHAP, .option = { 0xc2, 0x23, 0x81 },
		.option_len = 3, .strength = 30, .start = method_start, .input = method_input, .end = method_end,
		.export_ = method_export, .import = method_import };
	r = vd_service_provide(host, "ppp.auth/1", "mschapv2", &self->service);
	if (r >= 0)
		r = vd_service_provide(host, "ppp.auth.client/1", "mschapv2", &mschapv2_client);
	if (r < 0) {
		free(self);
		return vd_error_set(err, r, "service ppp.auth/1 or ppp.auth.client/1 mschapv2 could not be provided");
	}
	*ret_self = self;
	return 0;
}

static void fini(void *self_)
{
	struct self *self = self_;

	for (struct ppp_map_node *node; (node = ppp_map_any(&self->states));)
		method_end(self, VD_CONTAINER_OF(node, struct mschapv2, node));
	ppp_map_fini(&self->states);
	free(self);
}

VD_PLUGIN(ppp_auth_mschapv2, .version = "0.1.0", .license = "MIT", .summary = "MS-CHAPv2 for PPP (RFC 2759)",
	.provides = provides, .init = init, .fini = fini);

#include "login.h"
#include "chap.h"

#include <viaduct/conf.h>
#include <viaduct/crypto.h>
#include <viaduct/record.h>
#include <viaduct/report.h>
#include <viaduct/secret.h>
#include <viaduct/session.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 3000
#define WAIT_TRIES 10

enum state { WAITING, BUSY, ACCEPTED, REJECTED, STATES };

struct login {
	struct ppp_map_node node; /* id: the session */
	struct ppp_logins *all;
	const struct ppp_login_kind *kind;
	const struct vd_ppp_auth_host *host;
	void *host_arg;
	struct vd_timer timer; /* repeats the Challenge, or counts how long the client says nothing */
	uint8_t state, id, tries;
	uint8_t challenge[16];
	uint8_t result_len;
	char result[128]; /* message of Success or Failure, for requests that come again */
};

static void tally(const struct login *l, enum ppp_login_counter counter)
{
	vd_count(l->kind->counters[counter], 1);
}

static void send_packet(struct login *l, uint8_t code, const struct vd_slice *value, const char *text, size_t len)
{
	uint8_t room[4 + 1 + 16 + 255];
	struct vd_wr w;

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u8(&w, code);
	vd_wr_u8(&w, l->id);
	vd_wr_u16(&w, (uint16_t)(4 + (value ? 1 + value->len : 0) + len));
	if (value) {
		vd_wr_u8(&w, (uint8_t)value->len);
		if (value->len)
			vd_wr_put(&w, value->p, value->len);
	}
	vd_wr_put(&w, text, len);
	if (vd_wr_ok(&w))
		l->host->send(l->host_arg, l->all->service.protocol, room, w.len);
}

static void wait_for_request(struct login *l)
{
	const char *name = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "gateway.name"));
	struct vd_slice value = { l->challenge, sizeof(l->challenge) };

	if (!name || !name[0])
		name = "viaduct";
	l->tries++;
	if (l->kind->challenges)
		send_packet(l, CODE_CHALLENGE, &value, name, strnlen(name, 200));
	vd_timer_start(&l->timer, WAIT_MS);
}

static void send_result(struct login *l)
{
	bool yes = l->state == ACCEPTED;

	if (l->kind->challenges) {
		send_packet(l, yes ? CODE_SUCCESS : CODE_FAILURE, NULL, l->result, l->result_len);
	} else {
		struct vd_slice text = { (const uint8_t *)l->result, l->result_len };

		send_packet(l, yes ? PAP_ACK : PAP_NAK, &text, "", 0);
	}
}

static void fail(struct login *l, bool unavailable)
{
	l->state = REJECTED;
	vd_timer_stop(&l->timer);
	l->result_len = (uint8_t)l->kind->refuse(unavailable, l->result, sizeof(l->result));
	send_result(l);
	l->host->rejected(l->host_arg, unavailable ? "the authentication provider did not answer" :
		"authentication failed");
}

static void timer_fired(struct vd_timer *t)
{
	struct login *l = VD_CONTAINER_OF(t, struct login, timer);

	if (l->state != WAITING)
		return;
	if (l->tries >= WAIT_TRIES) {
		l->state = REJECTED;
		l->result_len = 0;
		vd_report_failure(&(struct vd_report){ .kind = VD_FAIL_AUTH_SILENT, .session = l->node.id,
			.offered = l->kind->silent });
		l->host->rejected(l->host_arg, l->kind->challenges ? "the client did not answer the challenge" :
			"the client did not send its name and password");
		return;
	}
	wait_for_request(l);
}

static void accept(struct login *l, const struct vd_authenticated *who)
{
	size_t n = l->kind->welcome(who, l->result, sizeof(l->result));

	if (!n) {
		tally(l, LOGIN_NO_AUTHENTICATOR);
		vd_log_limited(&l->all->limit, VD_LOG_ERROR, "ppp", &(struct vd_ids){ .session = l->node.id },
			"the provider accepted %s but gave no authenticator for %s", who->user, l->kind->name);
		fail(l, true);
		return;
	}
	l->state = ACCEPTED;
	vd_timer_stop(&l->timer);
	l->result_len = (uint8_t)n;
	send_result(l);
	l->host->accepted(l->host_arg, who);
}

static void authenticated(void *arg, uint64_t session, const struct vd_answer *answer)
{
	struct ppp_logins *all = arg;
	struct ppp_map_node *node = ppp_map_find(&all->states, session);
	struct login *l = node ? VD_CONTAINER_OF(node, struct login, node) : NULL;

	if (!l || l->state != BUSY) {
		vd_count(all->kind->counters[LOGIN_LATE_ANSWER], 1);
		return;
	}
	if (answer->verdict == VD_ACCEPT)
		accept(l, answer->data);
	else /* CONTINUE makes no sense here: a provider that asks for another round cannot judge what it got */
		fail(l, answer->verdict != VD_REJECT && answer->verdict != VD_PASS);
}

bool ppp_login_user(const uint8_t *name, size_t len, struct vd_authenticate *request)
{
	if (len && name[len - 1] == 0)
		len--;
	if (len >= sizeof(request->user) || (len && memchr(name, 0, len)))
		return false;
	if (len)
		memcpy(request->user, name, len);
	request->user[len] = 0;
	return true;
}

size_t ppp_login_welcome(const struct vd_authenticated *who, char *out, size_t size)
{
	(void)who;
	return vd_format(out, size, "Welcome");
}

size_t ppp_login_refuse(bool unavailable, char *out, size_t size)
{
	return vd_format(out, size, "Authentication %s", unavailable ? "service unavailable" : "failed");
}

static void ask(struct login *l, uint8_t id, struct vd_rd *body)
{
	struct vd_authenticate request = { .method = l->kind->method, .id = id };
	int r;

	if (!l->kind->parse(body, &request)) {
		vd_wipe(&request, sizeof(request));
		tally(l, LOGIN_REQUEST);
		return;
	}
	memcpy(request.challenge, l->challenge, sizeof(request.challenge));
	l->id = id;
	l->state = BUSY;
	vd_timer_stop(&l->timer);
	r = vd_session_authenticate(l->node.id, &request, 0, authenticated, l->all);
	vd_wipe(&request, sizeof(request));
	if (r == -EBUSY || r == -EAGAIN) {
		/* A question from before LCP began anew is still open, or there is no budget now: it is repeated. */
		tally(l, LOGIN_NOT_ASKED);
		l->state = WAITING;
		vd_timer_start(&l->timer, WAIT_MS);
	} else if (r < 0) {
		fail(l, true);
	}
}

/* What a password could be guessed from, or is. */
static void conceal_proof(const struct login *l, struct vd_rd body)
{
	size_t len;
	const uint8_t *proof;

	if (!l->kind->challenges)
		vd_rd_take(&body, vd_rd_u8(&body)); /* the name */
	len = vd_rd_u8(&body);
	proof = vd_rd_take(&body, len);
	if (proof)
		vd_conceal(proof, len);
}

static void login_input(void *self, void *state, const uint8_t *p, size_t len)
{
	struct login *l = state;
	struct vd_rd body;
	uint8_t code, id;

	(void)self;
	if (!ppp_chap_parse(p, len, &code, &id, &body)) {
		tally(l, LOGIN_LENGTH);
		return;
	}
	if (code != (l->kind->challenges ? CODE_RESPONSE : PAP_REQUEST)) {
		tally(l, LOGIN_CODE);
		return;
	}
	conceal_proof(l, body);
	if (l->kind->challenges && id != l->id) {
		tally(l, LOGIN_ID);
		return;
	}
	if (l->state == WAITING) {
		ask(l, id, &body);
		return;
	}
	/* PAP counts its requests (RFC 1334 section 2.2.1); the latest is what the client waits for. */
	l->id = id;
	if (l->state == BUSY) {
		tally(l, LOGIN_BUSY);
		return;
	}
	/* Our answer was lost. It is said again, whatever the request holds now (RFC 1994 section 4.2, RFC 1334 section
	 * 2.2.1), and nothing more. */
	tally(l, LOGIN_REPEATED);
	if (l->result_len && l->tries < UINT8_MAX) {
		l->tries++; /* bounds how often one login is answered */
		send_result(l);
	}
}

static struct login *make(struct ppp_logins *all, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg)
{
	struct login *l;

	if (ppp_map_find(&all->states, session))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->node.id = session;
	l->all = all;
	l->kind = all->kind;
	l->host = host;
	l->host_arg = host_arg;
	vd_timer_init(&l->timer, timer_fired);
	if (ppp_map_add(&all->states, &l->node) < 0) {
		free(l);
		return NULL;
	}
	return l;
}

static int login_start(void *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg,
	void **ret_state)
{
	struct login *l = make(self, session, host, host_arg);

	if (!l)
		return -ENOMEM;
	if (l->kind->challenges) {
		vd_random_seen("challenge", l->challenge, sizeof(l->challenge));
		vd_random_seen("id", &l->id, sizeof(l->id));
	}
	*ret_state = l;
	wait_for_request(l);
	return 0;
}

static void login_end(void *self, void *state)
{
	struct ppp_logins *all = self;
	struct login *l = state;

	vd_timer_stop(&l->timer);
	ppp_map_remove(&all->states, &l->node);
	vd_wipe(l, sizeof(*l));
	free(l);
}

static int login_export(void *self, void *state, struct vd_wr *w)
{
	struct login *l = state;
	uint64_t left = vd_timer_left(&l->timer);
	bool busy = l->state == BUSY;

	(void)self;
	/* An open question does not travel: whoever imports it waits for the request that the client repeats. */
	vd_wr_u8(w, busy ? WAITING : l->state);
	vd_wr_u8(w, l->id);
	vd_wr_u8(w, l->tries);
	vd_wr_put(w, l->challenge, sizeof(l->challenge));
	vd_wr_u8(w, l->result_len);
	vd_wr_put(w, l->result, l->result_len);
	vd_wr_u32(w, busy ? WAIT_MS : vd_timer_armed(&l->timer) ? (uint32_t)left : UINT32_MAX);
	return vd_wr_ok(w) ? 0 : -ENOSPC;
}

static int login_import(void *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg,
	struct vd_rd *r, void **ret_state)
{
	struct login *l = make(self, session, host, host_arg);
	uint32_t left;

	if (!l)
		return -ENOMEM;
	l->state = vd_rd_u8(r);
	l->id = vd_rd_u8(r);
	l->tries = vd_rd_u8(r);
	vd_rd_copy(r, l->challenge, sizeof(l->challenge));
	l->result_len = vd_rd_u8(r);
	if (l->result_len <= sizeof(l->result))
		vd_rd_copy(r, l->result, l->result_len); /* which zeroes its target when it fails */
	left = vd_rd_u32(r);
	if (!vd_rd_done(r) || l->result_len > sizeof(l->result) || l->state >= STATES || l->state == BUSY) {
		login_end(self, l);
		return -EBADMSG;
	}
	if (left != UINT32_MAX)
		vd_timer_start(&l->timer, left);
	*ret_state = l;
	return 0;
}

int ppp_logins_new(struct vd_host *host, const struct ppp_login_kind *kind, struct ppp_logins **ret_logins,
	struct vd_error *err)
{
	struct ppp_logins *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return vd_error_set(err, -ENOMEM, "out of memory");
	all->kind = kind;
	all->limit = (struct vd_log_limit)VD_LOG_LIMIT(5, 10000);
	all->service = (struct vd_ppp_auth_1){ .self = all, .protocol = kind->challenges ? CHAP : PAP,
		.option_len = kind->option_len, .strength = kind->strength, .start = login_start, .input = login_input,
		.end = login_end, .export_ = login_export, .import = login_import };
	memcpy(all->service.option, kind->option, kind->option_len);
	r = vd_service_provide(host, "ppp.auth/1", kind->name, &all->service);
	if (r < 0) {
		free(all);
		return vd_error_set(err, r, "service ppp.auth/1 %s could not be provided", kind->name);
	}
	*ret_logins = all;
	return 0;
}

void ppp_logins_free(struct ppp_logins *all)
{
	for (struct ppp_map_node *node; (node = ppp_map_any(&all->states));)
		login_end(all, VD_CONTAINER_OF(node, struct login, node));
	ppp_map_fini(&all->states);
	free(all);
}

#include "login.h"
#include "chap.h"
#include "failures.h"

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
#define AGAIN_MS 60000 /* somebody types a password */
#define VALUE_MAX 49

/* AGAIN: the client heard no, and may answer our other challenge, or ask for another password when its own is too old. */
enum state { WAITING, BUSY, ACCEPTED, REJECTED, AGAIN, STATES };

struct login {
	struct ppp_map_node node; /* id: the session */
	struct ppp_logins *all;
	const struct ppp_login_kind *kind;
	const struct vd_ppp_auth_host *host;
	void *host_arg;
	struct vd_timer timer; /* repeats the Challenge, or counts how long the client says nothing */
	uint8_t state, id, tries;
	uint8_t challenge[16];
	uint8_t retries;       /* tries after the first */
	bool expired;          /* AGAIN: only another password would do */
	uint8_t value[VALUE_MAX]; /* of the Response that was judged, which must not be taken for another try */
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

static uint64_t retries_allowed(const struct login *l)
{
	const struct vd_session *session = vd_session_find(l->node.id);

	return session ? vd_conf_uint(vd_conf_knob(vd_conf_current(), session->connection, "ppp", "auth_retries")) : 0;
}

/* code: of the answer; 0: nobody could say. */
static void fail(struct login *l, int code)
{
	bool expired = l->kind->change && code == -EKEYEXPIRED;
	bool again = expired || (l->kind->retries && (code == -ENOENT || code == -EKEYREJECTED) &&
		l->retries < retries_allowed(l));
	uint8_t challenge[16] = { 0 };
	struct ppp_refusal why = { .unavailable = !code, .code = code, .again = again && !expired, .challenge = challenge };

	l->state = again ? AGAIN : REJECTED;
	l->expired = expired;
	vd_timer_stop(&l->timer);
	if (l->kind->retries)
		vd_random_seen("challenge", challenge, sizeof(challenge));
	if (again)
		memcpy(l->challenge, challenge, sizeof(challenge));
	l->result_len = (uint8_t)l->kind->refuse(&why, l->result, sizeof(l->result));
	send_result(l);
	if (again) {
		vd_session_again(l->node.id);
		vd_timer_start(&l->timer, AGAIN_MS);
	} else {
		l->host->rejected(l->host_arg, code ? "authentication failed" : "the authentication provider did not answer");
	}
}

/* Nobody has said no, so nobody has reported it. */
static void report(const struct login *l, const char *what)
{
	vd_report_failure(&(struct vd_report){ .kind = &vd_fail_resources, .stage = "auth", .session = l->node.id, .difference = what });
}

static void timer_fired(struct vd_timer *t)
{
	struct login *l = VD_CONTAINER_OF(t, struct login, timer);

	if (l->state == AGAIN) {
		l->state = REJECTED;
		l->host->rejected(l->host_arg, l->expired ? "the password has expired" : "authentication failed");
		return;
	}
	if (l->state != WAITING)
		return;
	if (l->tries >= WAIT_TRIES) {
		l->state = REJECTED;
		l->result_len = 0;
		vd_report_failure(&(struct vd_report){ .kind = &ppp_fail_auth_silent, .session = l->node.id,
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
		report(l, "the provider's yes has no authenticator for the client");
		fail(l, 0);
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
	else if (answer->verdict == VD_REJECT)
		fail(l, answer->why.code ? answer->why.code : -EKEYREJECTED);
	else /* CONTINUE makes no sense here: a provider that asks for another round cannot judge what it got */
		fail(l, answer->verdict == VD_PASS ? -ENOENT : 0);
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

size_t ppp_login_refuse(const struct ppp_refusal *why, char *out, size_t size)
{
	return vd_format(out, size, "Authentication %s", why->unavailable ? "service unavailable" : "failed");
}

static void ask(struct login *l, uint8_t id, struct vd_rd *body)
{
	struct vd_authenticate request = { .method = l->kind->method, .id = id };
	bool retry = l->state == AGAIN;
	uint8_t value[VALUE_MAX] = { 0 };
	struct vd_rd whole = *body;
	int r;

	if (l->kind->retries) {
		vd_rd_u8(&whole);
		vd_rd_copy(&whole, value, sizeof(value));
	}

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
		l->state = retry ? AGAIN : WAITING;
		vd_timer_start(&l->timer, retry ? AGAIN_MS : WAIT_MS);
	} else if (r < 0) {
		if (r != -ENOKEY) /* the core has said that there is nobody to ask */
			report(l, "the client's answer cannot be checked");
		fail(l, 0);
	} else {
		memcpy(l->value, value, sizeof(value));
		l->retries += retry;
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

/* Our answer was lost. It is said again, whatever the request holds now (RFC 1994 section 4.2, RFC 1334 section 2.2.1), and
 * nothing more. */
static void repeat(struct login *l)
{
	tally(l, LOGIN_REPEATED);
	if (l->result_len && l->tries < UINT8_MAX) {
		l->tries++; /* bounds how often one login is answered */
		send_result(l);
	}
}

/* After a no: the Response that it was for comes again, or is another try, which has the same identifier or the next one
 * (clients differ; RFC 2759 says nothing). */
static void once_more(struct login *l, uint8_t code, uint8_t id, struct vd_rd *body)
{
	struct vd_rd whole = *body;
	uint8_t value[VALUE_MAX];

	if (id != l->id && id != (uint8_t)(l->id + 1)) {
		tally(l, LOGIN_ID);
	} else if (code == l->kind->change) {
		if (!l->expired || vd_rd_left(body) != l->kind->change_len) {
			tally(l, LOGIN_LENGTH);
			return;
		}
		l->id = id;
		fail(l, -EOPNOTSUPP); /* no store of users takes another password from here */
	} else {
		vd_rd_u8(&whole);
		vd_rd_copy(&whole, value, sizeof(value));
		if (l->expired || !vd_rd_ok(&whole) || (id == l->id && vd_same(value, l->value, sizeof(value))))
			repeat(l);
		else
			ask(l, id, body);
	}
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
	if (l->state == AGAIN && l->kind->change && code == l->kind->change) {
		size_t n;
		struct vd_rd all = body;
		const uint8_t *proof = vd_rd_rest(&all, &n);

		vd_conceal(proof, n);
		once_more(l, code, id, &body);
		return;
	}
	if (code != (l->kind->challenges ? CODE_RESPONSE : PAP_REQUEST)) {
		tally(l, LOGIN_CODE);
		return;
	}
	conceal_proof(l, body);
	if (l->state == AGAIN) {
		once_more(l, code, id, &body);
		return;
	}
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
	repeat(l);
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
	vd_wr_u8(w, busy ? (l->retries ? AGAIN : WAITING) : l->state);
	vd_wr_u8(w, l->id);
	vd_wr_u8(w, l->tries);
	vd_wr_put(w, l->challenge, sizeof(l->challenge));
	vd_wr_u8(w, l->retries);
	vd_wr_u8(w, l->expired);
	vd_wr_put(w, l->value, sizeof(l->value));
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
	l->retries = vd_rd_u8(r);
	l->expired = vd_rd_u8(r) != 0;
	vd_rd_copy(r, l->value, sizeof(l->value));
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

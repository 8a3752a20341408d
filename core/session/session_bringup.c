/* How a session comes up, once for all protocols: authenticate, admit, address, routes, workers, up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/report.h>

#include "core/session/guess.h"
#include "core/session/session.h"

#define AUTH_DEADLINE 10000 /* clients give up after 30 s: all servers of a realm together must be faster */
#define STEP_DEADLINE 5000
#define MAX_PROVIDERS 8
#define GUESS_REFUSED_MS 1000

static const struct vd_conf_node *connection_opt(const struct vd_session_rec *rec, const char *option)
{
	const struct vd_conf_node *all = vd_conf_at(rec->pub.conf, NULL, "connections");
	const struct vd_conf_node *one = all ? vd_conf_child(all, rec->pub.connection) : NULL;

	return one ? vd_conf_at(rec->pub.conf, one, option) : NULL;
}

static void report(const struct vd_session_rec *rec, const struct vd_failure *kind, const struct vd_error *why, const char *who)
{
	vd_report_failure(&(struct vd_report){ .kind = kind, .session = rec->pub.id, .configured = who,
		.difference = why->text, .origin = why->origin, .dialled = rec->pub.dialled });
}

/* What the codes of answers mean stands with each request in topics.h. */
static const struct vd_failure *auth_failure(const struct vd_answer *answer)
{
	if (answer->verdict == VD_PASS)
		return &vd_fail_no_provider;
	if (answer->verdict != VD_REJECT)
		return &vd_fail_unavailable;
	switch (answer->why.code) {
	case -ENOENT: return &vd_fail_unknown_user;
	case -EKEYREJECTED: return &vd_fail_password;
	case -EPERM: return &vd_fail_disabled;
	default: return &vd_fail_refused;
	}
}

static const struct vd_failure *address_failure(const struct vd_answer *answer)
{
	int code = answer && answer->verdict == VD_REJECT ? answer->why.code : 0;

	return code == -ENOSPC ? &vd_fail_pool_full : code == -EADDRINUSE ? &vd_fail_address_held : &vd_fail_no_address;
}

/* The reason of an answer that is not ACCEPT, in words. */
static const char *why_text(const struct vd_answer *answer, const char *nobody)
{
	if (answer->why.text[0])
		return answer->why.text;
	return answer->verdict == VD_PASS ? nobody : vd_verdict_name(answer->verdict);
}

/* ---- step 1: who is it ---- */
static void auth_answer(struct vd_session_rec *rec, const struct vd_answer *answer)
{
	rec->done.auth(rec->done_arg, rec->pub.id, answer);
	if (!rec->pub.refused)
		vd_session_no_report(rec);
}

/* answer is no ACCEPT or CONTINUE, so it has no data. */
static void auth_hold(struct vd_session_rec *rec, const struct vd_answer *answer, uint64_t ms)
{
	rec->held = ms ? malloc(sizeof(*answer)) : NULL;
	if (!rec->held) {
		auth_answer(rec, answer);
		return;
	}
	*rec->held = *answer;
	rec->step = VD_STEP_HELD;
	vd_timer_start(&rec->timer, ms);
}

void vd_bringup_held(struct vd_session_rec *rec)
{
	struct vd_answer answer = *rec->held;

	free(rec->held);
	rec->held = NULL;
	rec->step = VD_STEP_IDLE;
	auth_answer(rec, &answer);
}

static const struct vd_ip *source_of(const struct vd_session_rec *rec)
{
	const struct vd_peer *peer = vd_peer_find(rec->pub.peer);

	return peer ? &peer->remote.ip : NULL;
}

/* A name is counted as providers may read it: without the domain that some clients put before it ("DOMAIN\\name"). */
static uint64_t guessed_user(const struct vd_session_rec *rec, const char *name)
{
	const char *slash = strrchr(name, '\\');

	return vd_session_user_key(rec->realm, slash ? slash + 1 : name);
}

/* How long the answer to a wrong proof is held back. A server that does not answer is nobody's guess. */
static uint64_t guessed(const struct vd_session_rec *rec, const struct vd_answer *answer)
{
	const struct vd_ip *source = source_of(rec);

	if (answer->verdict != VD_REJECT || answer->why.code == -EPERM || !source)
		return 0;
	return vd_guess_wrong(source, guessed_user(rec, rec->pub.user));
}

/* Refused without a look, as a wrong password is, when too many came before. */
static bool too_many_guesses(struct vd_session_rec *rec)
{
	const struct vd_ip *source = source_of(rec);
	uint64_t wait = source ? vd_guess_wait(source, guessed_user(rec, rec->pub.user)) : 0;
	struct vd_answer answer = { .verdict = VD_REJECT };

	if (!wait)
		return false;
	vd_count("core.auth.guessing", 1);
	if (vd_guess_tell(source))
		vd_report_failure(&(struct vd_report){ .kind = &vd_fail_guessing, .session = rec->pub.id, .count = (wait + 999) / 1000 });
	vd_error_set(&answer.why, -EKEYREJECTED, "too many wrong passwords from this address");
	rec->pub.state = VD_S_AUTHENTICATING;
	auth_hold(rec, &answer, GUESS_REFUSED_MS);
	return true;
}

static void auth_done(void *arg, const struct vd_answer *answer)
{
	struct vd_session_rec *rec = arg; /* its requests are cancelled before it goes */
	uint64_t hold = 0;
	static const char *const methods[] = { "pap", "chap-md5", "mschapv2", "eap" };
	const char *method = rec->method < VD_ARRAY_SIZE(methods) ? methods[rec->method] : "unknown";

	rec->step = VD_STEP_IDLE;
	if (answer->verdict == VD_ACCEPT) {
		struct vd_auth_ok event = { .session = rec->pub.id };

		if (answer->data) {
			rec->pub.granted = *(const struct vd_authenticated *)answer->data;
			rec->pub.granted.data = (struct vd_blob){ 0 }; /* lives during the callback only */
		}
		if (source_of(rec))
			vd_guess_right(source_of(rec), guessed_user(rec, rec->pub.user)); /* as it was claimed, and counted */
		if (rec->pub.granted.user[0])
			vd_strcpy(rec->pub.user, sizeof(rec->pub.user), rec->pub.granted.user);
		rec->pub.proven = true;
		vd_session_no_forget(rec);
		vd_strcpy(event.user, sizeof(event.user), rec->pub.user);
		vd_strcpy(event.realm, sizeof(event.realm), rec->realm);
		vd_strcpy(event.provider, sizeof(event.provider), answer->provider);
		vd_strcpy(event.method, sizeof(event.method), method);
		vd_note('s', rec->pub.id, "%s authenticated by %s with %s", rec->pub.user, answer->provider, method);
		vd_event_post(&vd_topic_auth_ok, &event);
	} else if (answer->verdict != VD_CONTINUE) {
		struct vd_auth_failed event = { .session = rec->pub.id };
		const char *why = why_text(answer, "no provider of the realm knows this user");
		struct vd_no no = { .kind = auth_failure(answer) };

		vd_strcpy(event.user, sizeof(event.user), rec->pub.user);
		vd_strcpy(event.realm, sizeof(event.realm), rec->realm);
		vd_strcpy(event.method, sizeof(event.method), method);
		vd_strcpy(event.reason, sizeof(event.reason), why);
		vd_event_post(&vd_topic_auth_failed, &event);
		vd_error_set(&no.why, answer->why.code, "%s", why);
		vd_strcpy(no.why.origin, sizeof(no.why.origin), answer->why.origin);
		vd_format(no.who, sizeof(no.who), "%s%s", answer->provider[0] ? "" : "realm ",
			answer->provider[0] ? answer->provider : rec->realm);
		vd_session_no(rec, &no);
		hold = guessed(rec, answer);
	}
	auth_hold(rec, answer, hold);
}

int vd_session_authenticate(uint64_t session, struct vd_authenticate *request, uint64_t conversation,
	void (*done)(void *arg, uint64_t session, const struct vd_answer *answer), void *arg)
{
	struct vd_session_rec *rec = vd_session_rec(session);
	const char *providers[MAX_PROVIDERS + 1] = { NULL };
	struct vd_request_opts opts = { .mode = VD_FIRST, .deadline_ms = AUTH_DEADLINE, .session = session,
		.conversation = conversation, .providers = providers };
	const struct vd_conf_node *node;
	struct vd_error err;

	if (!rec)
		return -ENOENT;
	if (rec->step != VD_STEP_IDLE)
		return -EBUSY;
	/* The grant is settled once: nobody authenticates again below a session that has an address. */
	if (rec->pub.state != VD_S_NEW && rec->pub.state != VD_S_AUTHENTICATING)
		return -EINVAL;
	node = vd_conf_at(rec->pub.conf, NULL, "realms");
	node = node && rec->realm[0] ? vd_conf_child(node, rec->realm) : NULL;
	if (node && vd_conf_bool(vd_conf_at(rec->pub.conf, node, "fallback")))
		opts.flags |= VD_REQUEST_FALLBACK;
	node = node ? vd_conf_at(rec->pub.conf, node, "authenticate") : NULL;
	for (size_t i = 0; node && i < vd_conf_count(node) && i < MAX_PROVIDERS; i++)
		providers[i] = vd_conf_str(vd_conf_nth(node, i));
	if (!providers[0]) {
		vd_error_set(&err, -ENOKEY, "connection %s has no realm with an authenticate list; give it one",
			rec->pub.connection);
		report(rec, &vd_fail_no_provider, &err, NULL);
		return -ENOKEY;
	}
	request->session = session;
	request->peer = rec->pub.peer;
	vd_strcpy(request->connection, sizeof(request->connection), rec->pub.connection);
	vd_strcpy(request->realm, sizeof(request->realm), rec->realm);
	if (!conversation || request->user[0])
		vd_strcpy(rec->pub.user, sizeof(rec->pub.user), request->user);
	rec->method = request->method;
	rec->pub.proven = false;
	rec->done.auth = done;
	rec->done_arg = arg;
	if (!conversation && too_many_guesses(rec))
		return 0;
	if (!vd_request(&vd_topic_authenticate, request, &opts, auth_done, rec))
		return -ENOMEM;
	rec->pub.state = VD_S_AUTHENTICATING;
	rec->step = VD_STEP_AUTH;
	return 0;
}

/* ---- step 2: may he, and from which address ---- */
static void configured(struct vd_session_rec *rec, const char *stage, const struct vd_error *err)
{
	rec->step = VD_STEP_IDLE;
	vd_session_patience(rec);
	rec->done.configured(rec->done_arg, rec->pub.id, stage, err);
}

static void configure_failed(struct vd_session_rec *rec, const struct vd_failure *kind, const struct vd_answer *answer,
	const char *nobody)
{
	struct vd_error err;

	vd_error_set(&err, answer && answer->why.code ? answer->why.code : -EACCES, "%s",
		answer ? why_text(answer, nobody) : nobody);
	vd_strcpy(err.origin, sizeof(err.origin), answer ? answer->why.origin : "");
	report(rec, kind, &err, answer ? answer->provider : NULL);
	configured(rec, rec->step == VD_STEP_ADMIT ? "admit" : "address", &err);
}

bool vd_bringup_no_such(const struct vd_answer *answer)
{
	return answer && (answer->verdict == VD_PASS || answer->why.code == -EAFNOSUPPORT);
}

static const char nobody[] = "no pool gives an address; does the connection name a pool";

const char *vd_bringup_why(const struct vd_answer *answer)
{
	return why_text(answer, nobody);
}

static void ask_for(struct vd_session_rec *rec, unsigned families);

/* Without IPv6 a client has what it has always had; without an IPv4 address it has nothing, unless its pool has none. */
static void ask_done(struct vd_session_rec *rec, unsigned family)
{
	bool have4 = rec->pub.lease4.address.family, have6 = rec->pub.lease6.address.family;

	rec->asking &= (uint8_t)~family;
	if (rec->asking)
		return;
	if (!have4 && rec->only6 && rec->want & VD_WANT_V6_LATER) { /* there is nothing else to begin with */
		rec->want = VD_WANT_V4 | VD_WANT_V6;
		ask_for(rec, VD_WANT_V6);
		return;
	}
	if (have4 || (have6 && (!(rec->want & VD_WANT_V4) || rec->only6))) {
		rec->leased = true;
		configured(rec, "address", NULL);
		return;
	}
	report(rec, rec->no_address, &rec->why, rec->who[0] ? rec->who : NULL);
	configured(rec, "address", &rec->why);
}

/* answer NULL: out of memory. */
static void no_lease(struct vd_session_rec *rec, unsigned family, const struct vd_answer *answer)
{
	const char *text = answer ? why_text(answer, nobody) : "out of memory";

	if (family == VD_WANT_V6 && rec->want & VD_WANT_V4) {
		vd_network_refused(rec, answer, text);
	} else {
		rec->only6 = vd_bringup_no_such(answer);
		rec->no_address = address_failure(answer);
		vd_error_set(&rec->why, answer && answer->why.code ? answer->why.code : -EACCES, "%s", text);
		vd_strcpy(rec->why.origin, sizeof(rec->why.origin), answer ? answer->why.origin : "");
		vd_strcpy(rec->who, sizeof(rec->who), answer ? answer->provider : "");
	}
	ask_done(rec, family);
}

static void address_done(void *arg, const struct vd_answer *answer)
{
	struct vd_session_rec *rec = arg;
	const struct vd_leased_address *lease = answer->data;
	char text[VD_IP_TEXT];

	if (answer->verdict != VD_ACCEPT || !lease || lease->address.family != AF_INET) {
		no_lease(rec, VD_WANT_V4, answer);
		return;
	}
	rec->pub.lease4 = *lease;
	vd_note('s', rec->pub.id, "address %s from %s", vd_ip_format(&lease->address, text), answer->provider);
	ask_done(rec, VD_WANT_V4);
}

static void network_done(void *arg, const struct vd_answer *answer)
{
	struct vd_session_rec *rec = arg;

	if (vd_network_take(rec, answer))
		ask_done(rec, VD_WANT_V6);
	else
		no_lease(rec, VD_WANT_V6, answer);
}

bool vd_bringup_ask(struct vd_session_rec *rec, unsigned family, void (*done)(void *arg, const struct vd_answer *answer))
{
	bool v6 = family == VD_WANT_V6;
	struct vd_lease_address request = { .session = rec->pub.id, .family = v6 ? 6 : 4, .length = v6 ? 64 : 0 };
	struct vd_request_opts opts = { .deadline_ms = STEP_DEADLINE, .session = rec->pub.id };
	const char *pool = rec->pub.granted.pool;
	const struct vd_conf_node *node = connection_opt(rec, "pool");

	if (!pool[0] && node && vd_conf_str(node))
		pool = vd_conf_str(node);
	vd_strcpy(request.user, sizeof(request.user), rec->pub.user);
	vd_strcpy(request.pool, sizeof(request.pool), pool);
	request.want = v6 ? rec->pub.granted.network : rec->pub.granted.address;
	return vd_request(&vd_topic_lease_address, &request, &opts, done, rec);
}

/* All of it at once: what waits for a disk waits for one commit. */
static void ask_for(struct vd_session_rec *rec, unsigned families)
{
	rec->step = VD_STEP_ADDRESS;
	rec->asking = (uint8_t)families;
	if (families & VD_WANT_V4 && !vd_bringup_ask(rec, VD_WANT_V4, address_done))
		no_lease(rec, VD_WANT_V4, NULL);
	if (families & VD_WANT_V6 && !vd_bringup_ask(rec, VD_WANT_V6, network_done))
		no_lease(rec, VD_WANT_V6, NULL);
}

static void admit_done(void *arg, const struct vd_answer *answer)
{
	struct vd_session_rec *rec = arg;

	if (answer->verdict != VD_ACCEPT) {
		configure_failed(rec, answer->verdict == VD_REJECT && answer->why.code == -EEXIST ? &vd_fail_second_login :
			&vd_fail_not_admitted, answer, "nobody admits this user");
		return;
	}
	vd_session_joined(rec); /* not before: one user who is refused any number of times has earned no places */
	if (rec->want) {
		ask_for(rec, rec->want & (VD_WANT_V4 | VD_WANT_V6));
		return;
	}
	rec->leased = true; /* nothing to lease */
	configured(rec, "admit", NULL);
}

int vd_session_configure(uint64_t session, unsigned want,
	void (*done)(void *arg, uint64_t session, const char *stage, const struct vd_error *err), void *arg)
{
	struct vd_session_rec *rec = vd_session_rec(session);
	struct vd_admit request = { .session = session };
	struct vd_request_opts opts = { .mode = VD_ALL, .deadline_ms = STEP_DEADLINE, .session = session };

	if (!rec)
		return -ENOENT;
	if (rec->step != VD_STEP_IDLE)
		return -EBUSY;
	if (rec->pub.state != VD_S_AUTHENTICATING || !rec->pub.proven)
		return -EINVAL;
	vd_strcpy(request.user, sizeof(request.user), rec->pub.user);
	vd_strcpy(request.connection, sizeof(request.connection), rec->pub.connection);
	rec->done.configured = done;
	rec->done_arg = arg;
	rec->want = want & (VD_WANT_V4 | VD_WANT_V6 | VD_WANT_V6_LATER);
	if (!vd_request(&vd_topic_admit, &request, &opts, admit_done, rec))
		return -ENOMEM;
	rec->pub.state = VD_S_CONFIGURING;
	rec->step = VD_STEP_ADMIT;
	return 0;
}

/* ---- provider "core" of admit: connections.NAME.second_login ---- */
/* With coexist: has the user as many sessions as sessions_per_user allows? */
static bool too_many(const struct vd_session_rec *rec, struct vd_error *err)
{
	uint64_t n = 0, most = vd_conf_uint(connection_opt(rec, "sessions_per_user"));
	struct vd_session_rec *other = NULL;

	while ((other = vd_session_of_user(rec->realm, rec->pub.user, other)))
		n += other != rec && other->pub.state < VD_S_CLOSING;
	if (n < most)
		return false;
	vd_error_set(err, -EDQUOT, "%s has %llu sessions already, as many as sessions_per_user allows", rec->pub.user, (unsigned long long)n);
	vd_error_at(err, connection_opt(rec, "sessions_per_user"));
	return true;
}

static void admit_ask(void *arg, const struct vd_ask *ask)
{
	const struct vd_admit *request = ask->data;
	struct vd_session_rec *rec = vd_session_rec(request->session), *other, *next;
	const char *policy = rec ? vd_conf_str(connection_opt(rec, "second_login")) : NULL;
	bool refuse = policy && !strcmp(policy, "refuse"), coexist = policy && !strcmp(policy, "coexist"), wait = false;
	struct vd_error full;

	(void)arg;
	if (rec && (vd_session_room(rec, &full) < 0 || (coexist && too_many(rec, &full)))) {
		vd_reply(ask->ticket, VD_REJECT, NULL, &full);
		return;
	}
	if (!rec || coexist) {
		bool failed = rec && !rec->claim && vd_session_claim(rec) < 0;

		vd_reply(ask->ticket, failed ? VD_UNAVAILABLE : VD_PASS, NULL, NULL);
		return;
	}
	for (other = vd_session_of_user(rec->realm, rec->pub.user, NULL); other && refuse;
		other = vd_session_of_user(rec->realm, rec->pub.user, other)) {
		struct vd_error why;
		char when[32];
		time_t since;
		struct tm tm;

		if (other == rec || other->pub.state >= VD_S_CLOSING)
			continue;
		since = (time_t)((vd_wall() - (vd_now() - other->pub.created)) / 1000);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&since, &tm));
		vd_error_set(&why, -EEXIST, "%s is logged in as s-%llu since %s", rec->pub.user,
			(unsigned long long)other->pub.id, when);
		vd_error_at(&why, connection_opt(rec, "second_login"));
		vd_reply(ask->ticket, VD_REJECT, NULL, &why);
		return;
	}
	/* From here on this login is the latest: whoever comes later replaces it, whatever is still waited for. */
	for (other = vd_session_of_user(rec->realm, rec->pub.user, NULL); other; other = next) {
		char reason[VD_ID_TEXT];

		next = vd_session_of_user(rec->realm, rec->pub.user, other);
		if (other == rec)
			continue;
		wait = true; /* its address is free when it is gone */
		vd_format(reason, sizeof(reason), "replaced by s-%llu", (unsigned long long)rec->pub.id);
		vd_session_close(other->pub.id, reason, false);
	}
	if (!rec->claim && vd_session_claim(rec) < 0) {
		vd_reply(ask->ticket, VD_UNAVAILABLE, NULL, NULL);
		return;
	}
	if (wait)
		rec->ticket = ask->ticket;
	else
		vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL);
}

void vd_bringup_gone(const char *realm, const char *user)
{
	struct vd_session_rec *rec, *other;
	bool older;

	for (rec = vd_session_of_user(realm, user, NULL); rec; rec = vd_session_of_user(realm, user, rec)) {
		uint64_t ticket = rec->ticket;

		if (!ticket)
			continue;
		older = false;
		for (other = vd_session_of_user(realm, user, NULL); other; other = vd_session_of_user(realm, user, other))
			older = older || other->claim < rec->claim;
		if (older)
			continue;
		rec->ticket = 0;
		vd_reply(ticket, VD_ACCEPT, NULL, NULL);
	}
}

int vd_bringup_init(void)
{
	int res = vd_provide(NULL, "admit", "core", admit_ask, NULL, NULL);

	return res == -EEXIST ? 0 : res; /* it has no state: the one of an earlier start serves */
}

/* ---- step 3: routes, workers, up ---- */
static void established(struct vd_session_rec *rec, const struct vd_error *err)
{
	rec->step = VD_STEP_IDLE;
	if (err)
		report(rec, &vd_fail_establish, err, NULL);
	if (err)
		vd_session_patience(rec);
	rec->done.established(rec->done_arg, rec->pub.id, err);
}

static void up(struct vd_session_rec *rec)
{
	struct vd_session_up event = { .session = rec->pub.id, .chan = rec->pub.chan, .peer = rec->pub.peer };
	char text[VD_IP_TEXT];

	rec->pub.state = VD_S_UP;
	rec->pub.up_since = vd_now();
	event.mtu = rec->pub.mtu;
	event.address = rec->pub.lease4.address;
	event.dialled = rec->pub.dialled;
	event.network = (struct vd_prefix){ rec->pub.lease6.address, rec->pub.lease6.length };
	vd_strcpy(event.user, sizeof(event.user), rec->pub.user);
	vd_strcpy(event.connection, sizeof(event.connection), rec->pub.connection);
	vd_note('s', rec->pub.id, "up with %s, mtu %u", event.address.family ? vd_ip_format(&event.address, text) :
		vd_prefix_format(&event.network, text), rec->pub.mtu);
	vd_event_post(&vd_topic_session_up, &event);
	if (rec->link.v6.len)
		vd_network_tell(rec, true);
	if (rec->pub.granted.session_timeout)
		vd_timer_start(&rec->timer, rec->pub.granted.session_timeout * 1000ull);
	vd_session_idle_begin(rec);
	established(rec, NULL);
}

/* The addresses of the client: its lease as a host, its network, then what lies behind it. Returns how many. */
static unsigned prefixes_of(const struct vd_session_rec *rec, struct vd_prefix out[VD_SESSION_PREFIXES])
{
	unsigned n = 0;

	if (rec->pub.lease4.address.family)
		out[n++] = (struct vd_prefix){ rec->pub.lease4.address, 32 };
	if (rec->pub.lease6.address.family)
		out[n++] = (struct vd_prefix){ rec->pub.lease6.address, rec->pub.lease6.length };
	for (unsigned i = 0; i < VD_SESSION_ROUTES && rec->pub.granted.routes_behind[i].ip.family; i++)
		out[n++] = rec->pub.granted.routes_behind[i];
	return n;
}

void vd_session_sources(struct vd_session_rec *rec)
{
	memset(rec->link.source, 0, sizeof(rec->link.source));
	rec->link.own = (struct vd_ip){ 0 };
	if (rec->pub.dialled)
		rec->link.own = rec->pub.lease4.address;
	else
		prefixes_of(rec, rec->link.source);
}

static void establish_failed(struct vd_session_rec *rec, int code, const char *what)
{
	struct vd_error err;

	rec->round++; /* what is still under way is no longer waited for; closing removes it */
	rec->waiting = 0;
	vd_timer_stop(&rec->timer);
	vd_error_set(&err, code, "%s: %s", what, strerror(-code));
	established(rec, &err);
}

static void add_fib(struct vd_session_rec *rec, const struct vd_datapath_1 *dp)
{
	struct vd_prefix all[VD_SESSION_PREFIXES];
	unsigned n = prefixes_of(rec, all);
	char what[96], text[VD_IP_TEXT];

	vd_step_begin(rec, VD_STEP_FIB);
	rec->n_fib = 0;
	for (unsigned i = 0; i < n; i++) {
		struct vd_ack *ack = vd_ack_new(rec);
		int res = ack ? dp->fib_add(dp->self, &all[i], rec->pub.id, vd_ack_done, ack) : -ENOMEM;

		if (res >= 0) {
			rec->fib[rec->n_fib++] = all[i];
			continue;
		}
		if (ack)
			vd_ack_drop(ack);
		if (res == -EEXIST && rec->pub.dialled && i > 0)
			continue; /* another gateway has this network too: dialled.c */
		if (vd_network_waits(rec, &all[i]))
			continue;
		vd_format(what, sizeof(what), "address table entry %s", vd_prefix_format(&all[i], text));
		establish_failed(rec, res, what);
		return;
	}
	if (!vd_step_wait(rec))
		up(rec);
}

static void add_session(struct vd_session_rec *rec)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct vd_ack *ack;
	int res;

	if (!dp) {
		establish_failed(rec, -ENODEV, "no datapath");
		return;
	}
	vd_step_begin(rec, VD_STEP_ADD);
	ack = vd_ack_new(rec);
	res = ack ? dp->session_add(dp->self, &rec->link, vd_ack_done, ack) : -ENOMEM;
	if (res < 0) {
		if (ack)
			vd_ack_drop(ack);
		establish_failed(rec, res, "worker entry");
		return;
	}
	rec->added = true;
	if (!vd_step_wait(rec))
		add_fib(rec, dp);
}

void vd_bringup_acked(struct vd_session_rec *rec, bool late)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);

	if (late || !dp)
		establish_failed(rec, late ? -ETIMEDOUT : -ENODEV, "workers");
	else if (rec->step == VD_STEP_ADD)
		add_fib(rec, dp);
	else if (rec->step == VD_STEP_FIB)
		up(rec);
}

static int ask_route(struct vd_session_rec *rec);

/* What a plugin is to route to the client: its address where the account gave it, since it may lie outside of every pool;
 * then the networks behind it. false: there is no more. */
static bool route_wanted(const struct vd_session_rec *rec, struct vd_route_add *ret_request)
{
	const struct vd_authenticated *granted = &rec->pub.granted;
	unsigned i = rec->route;

	if (rec->pub.lease4.address.family && vd_ip_equal(&granted->address, &rec->pub.lease4.address)) {
		if (i == 0) {
			*ret_request = (struct vd_route_add){ .session = rec->pub.id, .own = true,
				.prefix = { rec->pub.lease4.address, 32 } };
			return true;
		}
		i--;
	}
	if (i >= VD_SESSION_ROUTES || !granted->routes_behind[i].ip.family)
		return false;
	*ret_request = (struct vd_route_add){ .session = rec->pub.id, .prefix = granted->routes_behind[i] };
	return true;
}

static void route_done(void *arg, const struct vd_answer *answer)
{
	struct vd_session_rec *rec = arg;
	struct vd_route_add asked = { 0 };
	struct vd_error err;

	if (!rec->pub.dialled)
		route_wanted(rec, &asked);
	if (answer->verdict != VD_ACCEPT && !(asked.own && answer->verdict == VD_PASS)) {
		vd_error_set(&err, answer->why.code ? answer->why.code : -ENETUNREACH, "%s: %s",
			rec->pub.dialled ? "our address and routes" : asked.own ? "route to the client" : "route behind the client",
			why_text(answer, "no plugin sets routes"));
		established(rec, &err);
		return;
	}
	if (rec->pub.dialled) {
		add_session(rec);
		return;
	}
	rec->route++;
	if (ask_route(rec) < 0)
		establish_failed(rec, -ENOMEM, "route behind the client");
}

/* Asks for the next route; when there is none left the workers are next. */
static int ask_route(struct vd_session_rec *rec)
{
	struct vd_route_add request;
	struct vd_request_opts opts = { .deadline_ms = STEP_DEADLINE, .session = rec->pub.id };

	if (rec->pub.dialled) {
		rec->step = VD_STEP_ROUTES;
		return vd_dialled_ask(rec, &opts, route_done) ? 0 : -ENOMEM;
	}
	if (!route_wanted(rec, &request)) {
		add_session(rec);
		return 0;
	}
	rec->step = VD_STEP_ROUTES;
	return vd_request(&vd_topic_route_add, &request, &opts, route_done, rec) ? 0 : -ENOMEM;
}

static void establish_begin(void *arg)
{
	struct vd_session_rec *rec = arg; /* goes through the FIFO only after this */

	if (rec->pub.state != VD_S_CONFIGURING)
		return;
	if (ask_route(rec) < 0)
		establish_failed(rec, -ENOMEM, "route behind the client");
}

int vd_session_establish(uint64_t session, const struct vd_wsess_desc *link,
	void (*done)(void *arg, uint64_t session, const struct vd_error *err), void *arg)
{
	struct vd_session_rec *rec = vd_session_rec(session);

	if (!rec)
		return -ENOENT;
	if (rec->step != VD_STEP_IDLE)
		return -EBUSY;
	if (rec->pub.state != VD_S_CONFIGURING || !rec->leased)
		return -EINVAL;
	rec->link = *link;
	rec->link.session = session;
	rec->link.chan = rec->pub.chan;
	vd_session_sources(rec);
	rec->pub.mtu = link->mtu;
	rec->done.established = done;
	rec->done_arg = arg;
	rec->route = 0;
	/* Begun after the current callback, so that done is never called from inside this function. */
	if (vd_defer(establish_begin, rec) < 0)
		return -ENOMEM;
	vd_timer_stop(&rec->timer); /* from here on every step has its own deadline */
	rec->step = VD_STEP_ROUTES;
	return 0;
}

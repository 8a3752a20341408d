/* XAuth as responder (draft-ietf-ipsec-isakmp-xauth-06), type generic: who is behind the group's pre-shared key? Asked
 * before anything else can be done on an IKE SA that was offered so, and again on each one that takes its place. */
#include "v1.h"

#include <stdlib.h>
#include <string.h>

static void authenticated(void *arg, uint64_t session, const struct vd_answer *answer);
static void configured(void *arg, uint64_t session, const char *stage, const struct vd_error *err);

static void over(struct ike_v1_xauth *x, const char *why)
{
	struct ike_v1_sa *sa = x->sa;

	ike_v1_info_delete_ike(sa);
	ike_v1_sa_free(sa, why);
}

static void patience_fired(struct vd_timer *t)
{
	struct ike_v1_xauth *x = VD_CONTAINER_OF(t, struct ike_v1_xauth, patience);
	const struct vd_session *session = vd_session_find(x->session);
	bool silent = x->state == IKE_V1_X_ASKED || x->state == IKE_V1_X_TOLD;

	if (silent)
		vd_count("ike_v1.failed.xauth_timeout", 1);
	if (silent && (session == NULL || !session->refused)) /* else a wrong password came last, and is reported */
		ike_v1_failed(x->sa, (struct vd_report){ .kind = &ike_fail_xauth_silent, .count = x->sa->v->opt.xauth_ms / 1000,
			.offered = x->state == IKE_V1_X_TOLD ? "told that it was accepted" : x->another ? "asked for a further code" :
			"asked for name and password" });
	over(x, x->state == IKE_V1_X_REFUSED ? "XAuth failed" : "XAuth took too long");
}

struct ike_v1_xauth *ike_v1_xauth_new(struct ike_v1_sa *sa)
{
	struct ike_v1_xauth *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->sa = sa;
	ike_v1_transaction_timer_init(x);
	vd_timer_init(&x->patience, patience_fired);
	x->patience.kind = IKE_V1_T_XAUTH;
	sa->xauth = x;
	return x;
}

/* The session that was to be authenticated is not needed: another one has been, or it failed. */
static void session_drop(struct ike_v1_xauth *x, const char *why)
{
	uint64_t session = x->session;

	x->session = 0;
	if (session != 0)
		vd_session_close(session, why, true);
}

/* ---- waiting for the end of an older tunnel ---- */
static void wait_for(struct ike_v1_xauth *x, uint64_t peer)
{
	x->after = peer;
	x->after_next = x->sa->v->xauth_waiting;
	x->sa->v->xauth_waiting = x;
}

static void wait_over(struct ike_v1_xauth *x)
{
	for (struct ike_v1_xauth **at = &x->sa->v->xauth_waiting; *at != NULL; at = &(*at)->after_next)
		if (*at == x) {
			*at = x->after_next;
			break;
		}
	x->after = 0;
	x->after_next = NULL;
}

void ike_v1_xauth_free(struct ike_v1_sa *sa)
{
	struct ike_v1_xauth *x = sa->xauth;

	if (x == NULL)
		return;
	sa->xauth = NULL;
	ike_v1_transaction_over(x);
	vd_timer_stop(&x->patience);
	wait_over(x);
	if (!sa->v->silent)
		session_drop(x, "XAuth was not finished");
	ike_v1_buf_free(&x->answered.reply);
	vd_wipe(x, sizeof(*x));
	free(x);
}

/* ---- what we say ---- */
/* Asks for name and password, or (another) for one more code. Each question has the time that users have. */
static bool ask(struct ike_v1_xauth *x, const char *message)
{
	struct ike_v1_sealed m;

	ike_v1_transaction_begin(x, &m, IKE_CFG_REQUEST);
	ike_out_attr16(&m.out, IKE_XAUTH_TYPE, 0); /* generic */
	if (message != NULL)
		ike_out_attr(&m.out, IKE_XAUTH_MESSAGE, message, strlen(message));
	if (!x->another)
		ike_out_attr(&m.out, IKE_XAUTH_USER_NAME, NULL, 0);
	ike_out_attr(&m.out, x->another ? IKE_XAUTH_PASSCODE : IKE_XAUTH_USER_PASSWORD, NULL, 0);
	x->state = IKE_V1_X_ASKED;
	vd_timer_start(&x->patience, x->sa->v->opt.xauth_ms);
	return ike_v1_transaction_finish(x, &m) == 0;
}

static void tell(struct ike_v1_xauth *x, bool passed, const char *message)
{
	struct ike_v1_sealed m;

	ike_v1_transaction_begin(x, &m, IKE_CFG_SET);
	ike_out_attr16(&m.out, IKE_XAUTH_STATUS, passed);
	if (message != NULL)
		ike_out_attr(&m.out, IKE_XAUTH_MESSAGE, message, strlen(message));
	x->state = passed ? IKE_V1_X_TOLD : IKE_V1_X_REFUSED;
	if (!passed)
		vd_timer_start(&x->patience, IKE_V1_XAUTH_REFUSED_MS);
	if (ike_v1_transaction_finish(x, &m) < 0)
		over(x, "out of memory");
}

static void refuse(struct ike_v1_xauth *x, const char *message)
{
	vd_count("ike_v1.failed.xauth", 1);
	session_drop(x, "XAuth failed");
	tell(x, false, message);
}

static void pass(struct ike_v1_xauth *x)
{
	vd_count("ike_v1.xauth", 1);
	tell(x, true, NULL);
}

bool ike_v1_xauth_begin(struct ike_v1_sa *sa)
{
	struct ike_v1_peer *peer = sa->peer;
	struct ike_v1_xauth *x = ike_v1_xauth_new(sa);
	struct vd_error err = { 0 };

	if (x == NULL)
		return false;
	if (ike_v1_tunnel_channel(peer, &sa->path) < 0)
		vd_error_set(&err, -1, "no channel can be had, or no memory for it");
	else
		x->session = ike_v1_tunnel_session(peer, &err);
	if (x->session == 0) {
		ike_v1_failed(sa, (struct vd_report){ .kind = &vd_fail_resources, .stage = "xauth", .difference = err.text });
		ike_v1_info_delete_ike(sa);
		return false;
	}
	return ask(x, NULL);
}

/* ---- what the client says ---- */
/* Android counts the terminator in. */
static bool take_text(const struct ike_cfg_attr *a, char *out, size_t size)
{
	size_t len = a != NULL ? a->len : 0;

	if (len > 0 && a->p[len - 1] == 0)
		len--;
	if (len >= size || (len > 0 && memchr(a->p, 0, len) != NULL))
		return false;
	if (len > 0)
		memcpy(out, a->p, len);
	out[len] = '\0';
	return true;
}

/* Some call every password a passcode, and some say a password that they keep beside the code that was asked for. */
static const struct ike_cfg_attr *secret_of(const struct ike_cfg *cfg, bool another)
{
	static const uint16_t types[2][3] = { { IKE_XAUTH_USER_PASSWORD, IKE_XAUTH_PASSCODE, IKE_XAUTH_ANSWER },
		{ IKE_XAUTH_PASSCODE, IKE_XAUTH_USER_PASSWORD, IKE_XAUTH_ANSWER } };

	for (size_t i = 0; i < VD_ARRAY_SIZE(types[0]); i++) {
		const struct ike_cfg_attr *a = ike_cfg_find(cfg, types[another][i]);

		if (a != NULL && a->len > 0)
			return a;
	}
	return ike_cfg_find(cfg, IKE_XAUTH_USER_PASSWORD);
}

/* The client's own status can only be that it failed (section 6.2): it has nothing to say whether somebody is let in. */
static bool gave_up(const struct ike_cfg *cfg)
{
	const struct ike_cfg_attr *status = ike_cfg_find(cfg, IKE_XAUTH_STATUS);
	uint32_t ok = 0;

	return status != NULL && (!ike_cfg_number(status, &ok) || ok == 0);
}

/* DOMAIN\name, as it is in MS-CHAPv2; a domain that the user typed himself counts. False: too long, or no text. */
static bool take_user(const struct ike_cfg *cfg, char user[VD_USER_MAX])
{
	char domain[VD_USER_MAX], name[VD_USER_MAX];

	if (!take_text(ike_cfg_find(cfg, IKE_XAUTH_USER_NAME), name, sizeof(name)) ||
		!take_text(ike_cfg_find(cfg, IKE_XAUTH_DOMAIN), domain, sizeof(domain)))
		return false;
	if (name[0] == '\0' || domain[0] == '\0' || strchr(name, '\\') != NULL) {
		vd_strcpy(user, VD_USER_MAX, name);
		return true;
	}
	if (strlen(domain) + 1 + strlen(name) >= VD_USER_MAX)
		return false;
	vd_format(user, VD_USER_MAX, "%s\\%s", domain, name);
	return true;
}

/* NULL, or what is wrong with it. password: IKE_V1_XAUTH_TEXT + 1 octets. In a further round (another) the name is known: it is
 * the one whose password was right, and no other one that stands beside the code. */
static const char *reply_read(const struct ike_cfg *cfg, bool another, struct vd_authenticate *request, char *password)
{
	const struct ike_cfg_attr *type = ike_cfg_find(cfg, IKE_XAUTH_TYPE), *secret = secret_of(cfg, another);
	uint32_t number = 0;

	if (ike_cfg_find(cfg, IKE_XAUTH_NEXT_PIN) != NULL)
		return "a new PIN was not asked for, and cannot be set here";
	if (type != NULL && (!ike_cfg_number(type, &number) || number != 0))
		return "only XAuth of type generic is spoken here";
	if ((!another && !take_user(cfg, request->user)) || !take_text(secret, password, IKE_V1_XAUTH_TEXT + 1))
		return "name or password is too long, or is no text";
	if (secret == NULL || (!another && request->user[0] == '\0'))
		return "name or password is missing";
	return NULL;
}

/* Whoever gives what was wrong a moment ago does not ask his user: it would only count against the account. */
static bool given_before(struct ike_v1_xauth *x, const struct vd_authenticate *request)
{
	struct vd_slice parts[] = { { (const uint8_t *)request->user, strlen(request->user) + 1 },
		{ request->data.p, request->data.len } };
	uint8_t digest[64];
	size_t n;

	if (vd_digest_parts("SHA256", parts, VD_ARRAY_SIZE(parts), digest, &n) < 0)
		return false;
	bool same = x->tries > 0 && vd_verified(vd_same(digest, x->given, sizeof(x->given)));
	memcpy(x->given, digest, sizeof(x->given));
	vd_wipe(digest, sizeof(digest));
	return same;
}

static void failed(struct ike_v1_xauth *x, const char *wrong)
{
	const struct vd_session *session = vd_session_find(x->session);

	if (session == NULL || !session->refused) /* else a wrong password came before, and is reported */
		ike_v1_failed(x->sa, (struct vd_report){ .kind = &ike_fail_xauth_answer, .difference = wrong });
}

static void reply_take(struct ike_v1_xauth *x, const struct ike_cfg *cfg)
{
	struct vd_authenticate request = { .method = VD_AUTH_PAP };
	char password[IKE_V1_XAUTH_TEXT + 1] = "";

	if (!vd_budget_take(VD_COST_AUTH, 1, &(struct vd_budget_from){ .source = &x->sa->path.remote.ip,
		.standing = VD_STANDING_ANSWERED })) {
		ike_v1_refuse(x->sa, &x->sa->path, IKE_PROTO_ISAKMP, "ike_v1.refused.budget", IKE_V1_SILENT, (struct vd_report){
			.kind = &vd_fail_resources, .stage = "xauth", /* what we asked is asked again */
			.difference = "too many passwords are to be checked, in all or from this address" });
		return;
	}
	ike_v1_transaction_over(x);
	if (gave_up(cfg)) { /* which ends it (section 5): nothing is told in return */
		vd_count("ike_v1.failed.xauth", 1);
		failed(x, "the user gave up, or the client cannot answer what it was asked");
		over(x, "the client gave XAuth up");
		return;
	}
	const char *wrong = reply_read(cfg, x->another, &request, password);
	vd_conceal(password, strlen(password));
	request.data = (struct vd_blob){ (const uint8_t *)password, (uint32_t)strlen(password) };
	if (wrong != NULL) {
		failed(x, wrong);
		refuse(x, wrong);
	} else if (given_before(x, &request)) {
		refuse(x, NULL);
	} else {
		x->state = IKE_V1_X_CHECKING;
		int rc = vd_session_authenticate(x->session, &request, x->conversation, authenticated, x->sa->v);
		if (rc < 0)
			refuse(x, NULL); /* the core has reported why, or the session is closing */
	}
	vd_wipe(password, sizeof(password));
	vd_wipe(&request, sizeof(request));
}

void ike_v1_xauth_answer(struct ike_v1_xauth *x, const struct ike_cfg *cfg)
{
	bool asked = x->state == IKE_V1_X_ASKED;

	if (cfg->kind != (asked ? IKE_CFG_REPLY : IKE_CFG_ACK)) {
		vd_count("ike_v1.drop.transaction", 1);
		return;
	}
	if (asked) {
		reply_take(x, cfg);
		return;
	}
	ike_v1_transaction_over(x);
	if (x->state == IKE_V1_X_REFUSED)
		over(x, "XAuth failed");
	else
		ike_v1_xauth_passed(x->sa);
}

bool ike_v1_xauth_passed(struct ike_v1_sa *sa)
{
	struct ike_v1_xauth *x = sa->xauth;
	struct ike_v1_sealed m;

	if (x->state != IKE_V1_X_TOLD)
		return x->state == IKE_V1_X_DONE;
	ike_v1_transaction_over(x);
	vd_timer_stop(&x->patience);
	x->state = IKE_V1_X_DONE;
	if (ike_v1_tunnel_pushes(sa->peer)) {
		ike_v1_transaction_begin(x, &m, IKE_CFG_SET);
		ike_v1_cfg_push(sa, &m);
		ike_v1_transaction_finish(x, &m);
	}
	return true;
}

/* ---- what the core says ---- */
static struct ike_v1_xauth *xauth_of(struct ike_v1 *v, uint64_t session)
{
	const struct vd_session *s = vd_session_find(session);
	struct ike_v1_peer *peer = s != NULL ? ike_v1_peer_by_id(v, s->peer) : NULL;

	for (struct ike_v1_sa *sa = peer != NULL ? peer->sas : NULL; sa != NULL; sa = sa->peer_next)
		if (sa->xauth != NULL && sa->xauth->session == session)
			return sa->xauth;
	return NULL;
}

/* Its user has a tunnel here already, which he goes on with. What was made to ask him is not needed. */
static void again(struct ike_v1_xauth *x, struct ike_v1_peer *living)
{
	const struct vd_session *session = vd_session_find(living->session);

	vd_count("ike_v1.reattached", 1);
	vd_note('s', session->id, "%s authenticated again, on a new IKE SA", session->user);
	vd_note('p', living->id, "rekeyed by the other side: a new IKE SA from the same endpoint, and the same user");
	session_drop(x, "it was only to authenticate again");
	ike_v1_peer_pass_on(x->sa->peer, living);
	pass(x);
}

static struct ike_v1_peer *his_tunnel(const struct ike_v1_xauth *x)
{
	const struct ike_v1_peer *peer = x->sa->peer;
	const struct vd_session *session = vd_session_find(x->session);

	return session != NULL ? ike_v1_peer_tunnel(peer->v, &peer->path.remote, peer->connection, peer->identity, session->user)
		: NULL;
}

/* He is known now. Other users whose tunnels have the same endpoint are not concerned: it may be one machine, or a NAT that
 * gave the port of somebody silent to somebody else. */
static void proven(struct ike_v1_xauth *x)
{
	struct ike_v1_peer *living = his_tunnel(x);

	x->state = IKE_V1_X_ADMITTED;
	if (living != NULL && x->sa->began_anew) { /* his address is free when that is over */
		vd_count("ike_v1.initial_contact", 1);
		wait_for(x, living->id);
		ike_v1_peer_end(living, "the client started anew", false);
	} else if (living != NULL) {
		again(x, living);
	} else if (vd_session_configure(x->session, VD_WANT_V4, configured, x->sa->v) < 0) {
		refuse(x, NULL);
	}
}

void ike_v1_xauth_peer_gone(struct ike_v1 *v, uint64_t peer)
{
	struct ike_v1_xauth *x = v->xauth_waiting;

	while (x != NULL)
		if (x->after == peer) {
			wait_over(x);
			if (x->state == IKE_V1_X_ADMITTED && x->session != 0)
				proven(x);
			x = v->xauth_waiting; /* all of it may have changed */
		} else {
			x = x->after_next;
		}
}

static void wrong(struct ike_v1_xauth *x, const struct vd_answer *answer)
{
	bool more = answer->verdict == VD_REJECT && ++x->tries < IKE_V1_XAUTH_TRIES;

	x->conversation = 0;
	x->another = false;
	if (more && ask(x, "Wrong user name or password."))
		vd_session_again(x->session);
	else
		refuse(x, NULL);
}

static void further(struct ike_v1_xauth *x, const struct vd_answer *answer)
{
	const struct vd_authenticated *data = answer->data;
	char message[IKE_V1_XAUTH_TEXT + 1] = "Next code:";

	if (data != NULL && data->data.len > 0)
		vd_format(message, sizeof(message), "%.*s", (int)data->data.len, (const char *)data->data.p);
	x->conversation = answer->conversation;
	x->another = true;
	if (!ask(x, message))
		refuse(x, NULL);
}

static void authenticated(void *arg, uint64_t session, const struct vd_answer *answer)
{
	struct ike_v1_xauth *x = xauth_of(arg, session);

	if (x == NULL || x->state != IKE_V1_X_CHECKING) {
		vd_count("ike_v1.xauth.late_answer", 1);
		return;
	}
	if (answer->verdict == VD_CONTINUE)
		further(x, answer);
	else if (answer->verdict != VD_ACCEPT)
		wrong(x, answer);
	else
		proven(x);
}

static void configured(void *arg, uint64_t session, const char *stage, const struct vd_error *err)
{
	struct ike_v1_xauth *x = xauth_of(arg, session);

	(void)stage; /* the core has reported it */
	if (x == NULL || x->state != IKE_V1_X_ADMITTED)
		return;
	struct ike_v1_peer *living = his_tunnel(x);
	if (living != NULL) { /* another IKE SA of his was faster */
		again(x, living);
		return;
	}
	if (err != NULL || ike_v1_tunnel_taken(x->sa->peer, session) < 0) {
		refuse(x, NULL);
		return;
	}
	x->session = 0;
	pass(x);
}

/* Somebody ended the session while it was being authenticated. */
void ike_v1_xauth_closed(struct ike_v1_peer *peer, uint64_t session)
{
	for (struct ike_v1_sa *sa = peer->sas; sa != NULL; sa = sa->peer_next)
		if (sa->xauth != NULL && sa->xauth->session == session) {
			sa->xauth->session = 0;
			refuse(sa->xauth, NULL);
			return;
		}
}

/* Main mode, messages 5 and 6: which connection is it? Every PSK is tried, always all and in the same order, so that
 * neither time nor answer tells which one was nearly right. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ike_v1_trial {
	struct ike_v1_sa *sa; /* NULL: abandoned */
	unsigned n, waiting;
	struct trial_key {
		struct ike_v1_trial *trial;
		char connection[VD_NAME_MAX];
		struct vd_secret *skeyid;
	} keys[IKE_V1_POSSIBLE_MAX];
	struct vd_path path;
	size_t len;
	uint8_t message[IKE_MESSAGE_MAX];
};

/* What one key made of message 5. */
struct trial_result {
	struct ike_v1_keys keys;
	uint8_t iv[IKE_BLOCK_MAX];
	struct ike_v1_buf id;
	bool initial_contact;
};

static void trial_free(struct ike_v1_trial *t)
{
	for (unsigned i = 0; i < t->n; i++)
		vd_secret_free(t->keys[i].skeyid);
	vd_wipe(t, sizeof(*t));
	free(t);
}

void ike_v1_trial_abandon(struct ike_v1_sa *sa)
{
	if (sa->trial == NULL)
		return;
	sa->trial->sa = NULL; /* freed with its last answer */
	sa->trial = NULL;
}

/* True when this key's HASH_I is right; the result is filled in then. */
static bool trial_one(const struct ike_v1_sa *sa, const struct ike_v1_trial *t, unsigned i, struct trial_result *ret)
{
	struct vd_secret *skeyid = t->keys[i].skeyid;
	uint8_t message[IKE_MESSAGE_MAX], hash[IKE_HASH_MAX];
	struct trial_result r = { 0 };
	struct ike_chain chain;
	bool good = false;

	if (skeyid == NULL ||
		ike_v1_keys_derive(&r.keys, &sa->suite, vd_secret_data(skeyid), vd_secret_len(skeyid),
			vd_secret_data(sa->shared), vd_secret_len(sa->shared), sa->icookie, sa->rcookie) < 0 ||
		ike_v1_iv_first(&r.keys, sa->gxi.p, sa->gxr.p, sa->gxi.len, r.iv) < 0)
		return false;
	memcpy(message, t->message, t->len);
	if (ike_v1_crypt(&r.keys, false, r.iv, message, t->len) == 0 &&
		ike_chain_parse(t->message[16], message + IKE_HEADER_LEN, t->len - IKE_HEADER_LEN, &chain) == 0) {
		const struct ike_payload *id = ike_chain_find(&chain, IKE_P_ID, 0),
			*h = ike_chain_find(&chain, IKE_P_HASH, 0);

		if (h != NULL)
			vd_conceal(h->p, h->len);
		if (id != NULL && h != NULL && h->len == r.keys.hash_len && ike_chain_count(&chain, IKE_P_ID) == 1 &&
			ike_v1_hash_main(&r.keys, sa->gxi.p, sa->gxr.p, sa->gxi.len, sa->icookie, sa->rcookie,
				sa->sa_body.p, sa->sa_body.len, id->p, id->len, hash) == 0 &&
			vd_verified(vd_same(hash, h->p, h->len)))
			good = ike_v1_buf_set(&r.id, id->p, id->len) == 0;
		r.initial_contact = good && ike_chain_notify(&chain, IKE_N_INITIAL_CONTACT);
	}
	if (good)
		*ret = r;
	vd_wipe(&r.keys, sizeof(r.keys));
	vd_wipe(message, t->len);
	return good;
}

static void wrong_psk(struct ike_v1_sa *sa, unsigned tried)
{
	char where[384] = "";
	const char *origin = NULL;
	size_t len = 0;
	unsigned n = 0;

	sa->state = IKE_V1_WAIT_MM5; /* the real client may still come: anybody could have sent that message */
	if (sa->failed_reported) {
		vd_count("ike_v1.failed.psk", 1);
		return;
	}
	sa->failed_reported = true;
	for (unsigned i = 0; i < sa->v->n_candidates; i++) {
		const struct ike_v1_candidate *c = &sa->v->candidates[i];

		if (ike_v1_auth(c) != sa->auth)
			continue;
		len += vd_format(where + len, sizeof(where) - len, "%s%s (%s)", n > 0 ? " and of " : c->xauth ?
			"xauth.psk of " : "l2tp.psk of ", c->connection, c->psk_origin);
		origin = n++ == 0 ? c->psk_origin : NULL;
	}
	if (n == 0) {
		const struct ike_v1_peer *dialled = ike_v1_peer_dialled(sa->v, &sa->path.remote);

		vd_format(where, sizeof(where), "l2tp.psk of %s, which dials", dialled != NULL ? dialled->connection : "a connection");
	}
	/* Once, in the clear, as RFC 2408 section 5.1 allows: there is no key that both have. It tells who listens
	 * nothing, since every wrong message 5 gets the same, and lets clients that believe it fail at once instead of
	 * after a minute. */
	ike_v1_refuse(sa, &sa->path, IKE_PROTO_ISAKMP, "ike_v1.failed.psk", IKE_N_PAYLOAD_MALFORMED, (struct vd_report){
		.kind = &ike_fail_psk, .count = tried, .configured = where, .origin = origin });
}

unsigned ike_v1_possible(const struct ike_v1 *v, const struct vd_sa *remote, uint16_t auth,
	struct ike_v1_possible list[IKE_V1_POSSIBLE_MAX])
{
	const struct ike_v1_peer *dialled = ike_v1_peer_dialled(v, remote);
	unsigned n = 0;

	for (unsigned i = 0; i < v->n_candidates; i++) {
		const struct ike_v1_candidate *c = &v->candidates[i];

		if (auth == 0 || auth == ike_v1_auth(c))
			list[n++] = (struct ike_v1_possible){ .connection = c->connection, .id = c->id, .key = c->key, .policy = &c->policy,
				.auth = ike_v1_auth(c) };
	}
	if (dialled != NULL && auth != IKE_AUTH_XAUTH_PSK) /* last: where the gateway is our client with the same key as well, its logins come first */
		list[n++] = (struct ike_v1_possible){ .connection = dialled->connection, .id = dialled->dial->own_id, .key = dialled->dial->key,
			.policy = &dialled->dial->policy, .auth = IKE_AUTH_PSK, .dialled = true };
	return n;
}

/* The living peer that this phase 1 continues, or NULL: same endpoint, identity and connection, heard lately. Not with XAuth,
 * where the identity is that of a group: which one is continued is known with the user. */
static struct ike_v1_peer *peer_to_join(struct ike_v1_sa *sa, const char *connection, const char *identity, bool fresh)
{
	struct ike_v1_peer *peer = ike_v1_peer_find(sa->v, &sa->path.remote, connection, identity);

	/* Only for the very same (address, port) and identity: a private address is an identity that many have. */
	for (; fresh && peer != NULL; peer = ike_v1_peer_find(sa->v, &sa->path.remote, connection, identity)) {
		vd_count("ike_v1.initial_contact", 1);
		ike_v1_peer_end(peer, peer->dial != NULL ? "the gateway started anew" : "the client started anew", false);
	}
	if (peer == NULL)
		return NULL;
	uint64_t silence = ike_v1_peer_silence(peer);
	if (silence > IKE_V1_REATTACH_MS) {
		vd_count("ike_v1.reattach_refused", 1);
		vd_note('p', peer->id,
			"a new phase 1 from the same endpoint did not take over: nothing was heard here for %llu s",
			(unsigned long long)(silence / 1000));
		return NULL;
	}
	vd_count("ike_v1.reattached", 1);
	vd_note('p', peer->id, "rekeyed by the other side: a new IKE SA from the same endpoint with the same identity");
	return peer;
}

void ike_v1_peer_announce(struct ike_v1_peer *peer, const struct ike_v1_sa *sa, const char *identity)
{
	const struct vd_peer *object = vd_peer_find(peer->id);
	const char *connection = peer->connection;
	struct vd_peer_up up = { 0 };

	if (object == NULL)
		return;
	vd_strcpy(peer->identity, sizeof(peer->identity), identity);
	vd_peer_endpoint(peer->id, &sa->path.remote, sa->path.natt);
	vd_note('p', peer->id, "phase 1 from %s: connection %s, NAT %s%s%s", identity, connection,
		sa->natted_peer ? "at the other side" : "", sa->natted_us ? " at ours" : "",
		!sa->natted_peer && !sa->natted_us ? "none" : "");
	up.peer = peer->id;
	up.local = sa->path.local;
	up.remote = sa->path.remote;
	up.home = object->home;
	vd_strcpy(up.connection, sizeof(up.connection), connection);
	vd_strcpy(up.identity, sizeof(up.identity), identity);
	ike_suite_format(&sa->suite, up.suite);
	vd_strcpy(up.profile, sizeof(up.profile), ike_vendor_profile(sa->vendors));
	vd_strcpy(up.version, sizeof(up.version), "ikev1");
	vd_peer_set_up(peer->id, &up);
}

static struct ike_v1_peer *peer_make(struct ike_v1_sa *sa, const char *connection, const char *identity)
{
	bool tunnel = sa->auth == IKE_AUTH_XAUTH_PSK;
	const struct ike_v1_peer *living = NULL;

	if (tunnel) {
		ike_v1_peer_crowded(sa->v, &sa->path.remote, connection, identity);
		living = ike_v1_peer_tunnel(sa->v, &sa->path.remote, connection, identity, NULL);
	}
	struct vd_peer *object = living != NULL ? vd_peer_beside(living->id)
		: vd_peer_new(sa->path.endpoint, &sa->path.local, &sa->path.remote);
	struct ike_v1_peer *peer = object != NULL ? ike_v1_peer_add(sa->v, object->id, &sa->path) : NULL;

	if (peer == NULL) {
		if (object != NULL)
			vd_peer_close(object->id, "out of memory");
		return NULL;
	}
	peer->tunnel = tunnel;
	vd_strcpy(peer->connection, sizeof(peer->connection), connection);
	ike_v1_peer_announce(peer, sa, identity);
	return peer;
}

void ike_v1_sa_up(struct ike_v1_sa *sa, struct ike_v1_peer *peer, const char *identity)
{
	struct vd_ids ids = { .peer = peer->id };
	char suite[IKE_SUITE_TEXT];

	ike_v1_sa_half_open_done(sa);
	vd_timer_stop(&sa->resend);
	sa->state = IKE_V1_UP;
	sa->established = sa->heard = vd_now();
	ike_v1_buf_free(&sa->mm3.reply);
	ike_v1_buf_free(&sa->ni);
	ike_v1_buf_free(&sa->nr);
	ike_v1_buf_free(&sa->gxi);
	ike_v1_buf_free(&sa->gxr);
	ike_v1_buf_free(&sa->sa_body);
	ike_v1_buf_free(&sa->idii);
	ike_v1_buf_free(&sa->sent);
	vd_secret_free(sa->shared);
	sa->shared = NULL;
	sa->life.kind = IKE_V1_T_LIFE;
	vd_timer_start(&sa->life, ike_v1_life(sa->v, sa->life_seconds));
	ike_v1_peer_join(peer, sa);
	vd_count("ike_v1.up", 1);
	ike_suite_format(&sa->suite, suite);
	vd_log(VD_LOG_INFO, "ike", &ids, "phase 1 up: connection %s, identity %s, %s", peer->connection, identity, suite);
}

struct ike_v1_peer *ike_v1_take(struct ike_v1_sa *sa, const char *connection, bool dialled, const char *identity, bool fresh)
{
	struct ike_v1_peer *peer = NULL;

	if (sa->auth == IKE_AUTH_XAUTH_PSK)
		sa->began_anew = fresh;
	else
		peer = peer_to_join(sa, connection, identity, fresh);
	if (peer == NULL && dialled) { /* a gateway may renew what we dialled, and no more */
		ike_v1_refuse(sa, &sa->path, IKE_PROTO_ISAKMP, "ike_v1.refused.dialled", IKE_N_INVALID_ID_INFORMATION,
			(struct vd_report){ .kind = &ike_fail_dials_alone, .connection = connection, .offered = identity });
		ike_v1_sa_free(sa, "it continues nothing that we dialled");
		return NULL;
	}
	if (peer == NULL)
		peer = peer_make(sa, connection, identity);
	if (peer == NULL) {
		const struct vd_conf_node *max = vd_conf_at(vd_conf_current(), NULL, "gateway.max_peers");
		char at[128];

		ike_v1_refuse(sa, &sa->path, IKE_PROTO_ISAKMP, "ike_v1.refused.peers", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_peers_full, .connection = connection,
			.count = vd_conf_uint(max), .origin = vd_conf_origin(max, at, sizeof(at)) });
		ike_v1_sa_free(sa, "no more peers");
		return NULL;
	}
	ike_v1_sa_up(sa, peer, identity);
	return peer;
}

void ike_v1_above(struct ike_v1_sa *sa)
{
	if (sa->peer->dial != NULL) {
		sa->peer->dial->taken = true;
		ike_v1_dial_phase1_up(sa->peer->dial, sa);
	} else if (sa->peer->tunnel && !ike_v1_xauth_begin(sa)) {
		ike_v1_sa_free(sa, "XAuth cannot begin");
	}
}

void ike_v1_own_id(const struct ike_v1_sa *sa, const char *id, struct ike_out *out)
{
	if (id[0] != '\0')
		ike_out_ident(out, id);
	else
		ike_out_address(out, IKE_P_ID, &sa->path.local.ip);
}

/* IDir, HASH_R, encrypted with the chain of message 5. Updates iv to the last block. */
static int mm6_build(struct ike_v1_sa *sa, const char *own_id, uint8_t *iv, uint8_t *room, size_t size)
{
	struct ike_header h = ike_v1_header(sa, IKE_X_MAIN, 0);
	uint8_t hash[IKE_HASH_MAX];
	struct ike_out out;

	ike_out_init(&out, room, size, &h);
	ike_v1_own_id(sa, own_id, &out);
	const uint8_t *id = room + IKE_HEADER_LEN + 4;
	size_t id_len = out.w.len - IKE_HEADER_LEN - 4;
	int rc = ike_v1_hash_main(&sa->keys, sa->gxr.p, sa->gxi.p, sa->gxr.len, sa->rcookie, sa->icookie, sa->sa_body.p,
		sa->sa_body.len, id, id_len, hash);
	if (rc < 0)
		return rc;
	ike_out_payload(&out, IKE_P_HASH, hash, sa->keys.hash_len);
	rc = ike_out_finish(&out);
	return rc < 0 ? rc : ike_v1_seal(&sa->keys, iv, room, (size_t)rc, size);
}

static void bound(struct ike_v1_sa *sa, const struct ike_v1_trial *t, unsigned match, struct trial_result *r)
{
	const char *connection = t->keys[match].connection;
	struct ike_v1_possible list[IKE_V1_POSSIBLE_MAX], *c = NULL;
	unsigned n_list = ike_v1_possible(sa->v, &t->path.remote, sa->auth, list);
	uint8_t room[512], digest[32];
	struct ike_ident id;
	size_t n;

	for (unsigned i = 0; i < n_list && c == NULL; i++)
		if (strcmp(list[i].connection, connection) == 0)
			c = &list[i];
	sa->keys = r->keys;
	sa->path = t->path;
	sa->state = IKE_V1_WAIT_MM5;
	if (c == NULL || !ike_policy_allows(c->policy, &sa->suite)) {
		struct ike_offers offers, chosen = { 0 };
		struct ike_suite got;

		if (ike_offers_parse(1, sa->sa_body.p, sa->sa_body.len, &offers) < 0)
			offers.n = 0;
		for (unsigned i = 0; i < offers.n && chosen.n == 0; i++)
			if (ike_suite_from_phase1(&offers.v[i], sa->auth, &got) && ike_suite_equal(&got, &sa->suite))
				chosen.v[chosen.n++] = offers.v[i];
		ike_v1_refuse_offers(sa, &sa->path, IKE_PROTO_ISAKMP, "ike_v1.failed.suite_after_binding",
			(struct vd_report){ .kind = &ike_fail_suite }, 1, &chosen, connection, false);
		ike_v1_sa_free(sa, "suite is not allowed");
		return;
	}
	int rc = ike_ident_parse(r->id.p, r->id.len, &id);
	if (rc < 0 && rc != -EPROTONOSUPPORT) {
		ike_v1_refuse(sa, &sa->path, IKE_PROTO_ISAKMP, "ike_v1.drop.mm5_identity", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_malformed, .connection = connection, .offered = "the identity" });
		ike_v1_sa_free(sa, "malformed identity");
		return;
	}
	int len = mm6_build(sa, c->id, r->iv, room, sizeof(room));
	if (len < 0 || vd_digest("SHA256", t->message, t->len, digest, &n) < 0 ||
		ike_v1_cache_set(&sa->mm5, digest, room, (size_t)len) < 0) {
		ike_v1_sa_free(sa, "out of memory");
		return;
	}
	memcpy(sa->last_block, r->iv, sa->keys.block);
	if (ike_v1_take(sa, connection, c->dialled, id.text, r->initial_contact) == NULL)
		return;
	ike_v1_send(sa->v, &sa->path, room, (size_t)len);
	ike_v1_above(sa);
}

static void trial_finish(struct ike_v1_trial *t)
{
	struct ike_v1_sa *sa = t->sa;
	struct trial_result result = { 0 }, r;
	unsigned tried = 0, match = IKE_V1_POSSIBLE_MAX;

	sa->trial = NULL;
	for (unsigned i = 0; i < t->n; i++) {
		tried += t->keys[i].skeyid != NULL;
		if (!trial_one(sa, t, i, &r))
			continue;
		if (match == IKE_V1_POSSIBLE_MAX) {
			match = i;
			result = r;
		} else {
			ike_v1_buf_free(&r.id);
		}
		vd_wipe(&r.keys, sizeof(r.keys));
	}
	if (match == IKE_V1_POSSIBLE_MAX)
		wrong_psk(sa, tried);
	else
		bound(sa, t, match, &result);
	ike_v1_buf_free(&result.id);
	vd_wipe(&result, sizeof(result));
}

static void trial_key_done(void *arg, struct vd_secret *skeyid, const struct vd_error *err)
{
	struct trial_key *key = arg;
	struct ike_v1_trial *t = key->trial;

	if (skeyid != NULL && (err == NULL || err->code == 0))
		key->skeyid = vd_secret_ref(skeyid);
	if (--t->waiting > 0)
		return;
	if (t->sa != NULL)
		trial_finish(t);
	trial_free(t);
}

void ike_v1_mm5_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	struct ike_v1 *v = sa->v;
	uint8_t nonces[2 * IKE_V1_NONCE_MAX];
	struct ike_v1_possible list[IKE_V1_POSSIBLE_MAX];
	unsigned n = ike_v1_possible(v, &path->remote, sa->auth, list);
	struct ike_v1_trial *t;

	if (len > IKE_MESSAGE_MAX || n == 0 || h->mid != 0 || sa->trials >= IKE_V1_TRIALS_MAX) {
		vd_count("ike_v1.drop.mm5", 1);
		return;
	}
	if (!vd_budget_take(VD_COST_AUTH, 1, &(struct vd_budget_from){ .source = &path->remote.ip, .standing = VD_STANDING_ANSWERED })) {
		ike_v1_refuse(sa, path, IKE_PROTO_ISAKMP, "ike_v1.refused.budget", IKE_V1_SILENT, (struct vd_report){
			.kind = &vd_fail_resources, .stage = "phase1",
			.difference = "too many pre-shared keys are to be tried, in all or from this address" });
		return;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return;
	memcpy(nonces, sa->ni.p, sa->ni.len);
	memcpy(nonces + sa->ni.len, sa->nr.p, sa->nr.len);
	t->sa = sa;
	t->path = *path;
	t->len = len;
	memcpy(t->message, p, len);
	sa->trials++;
	sa->trial = t;
	sa->state = IKE_V1_TRIAL;
	t->waiting = 1; /* ours, so that it lives while we ask */
	for (unsigned i = 0; i < n; i++) {
		struct trial_key *key = &t->keys[t->n];

		key->trial = t;
		vd_strcpy(key->connection, sizeof(key->connection), list[i].connection);
		if (v->keys->psk_prf(v->keys->self, list[i].key, ike_hash_md(sa->suite.hash), nonces,
			(size_t)sa->ni.len + sa->nr.len, trial_key_done, key) < 0)
			continue;
		t->n++;
		t->waiting++;
	}
	struct trial_key ours = { .trial = t };
	trial_key_done(&ours, NULL, NULL);
}

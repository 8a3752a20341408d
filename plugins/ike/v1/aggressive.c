/* Aggressive mode as responder (RFC 2409 section 5.4), for connections that name it: message 1 brings the group's name and
 * the key exchange, message 2 already proves that we know the group's key. So anybody who knows the name gets something to
 * guess the key from, offline; and each message 1 costs a Diffie-Hellman and a place, from an address that nothing proves: both
 * come from pools of their own, so that forged ones starve nobody but each other. Our cookie is random; a repeated message 1
 * finds its SA by the client's cookie and address, and gets the same answer. */
#include "v1.h"

#include <string.h>

/* All that goes to somebody who may have forged his address is at most so many times as long as what he sent. */
#define AMPLIFY_MAX 3u
/* Exchanges that are computed at the same time: an eighth of what may wait for the pool, so that others find room there. */
#define COMPUTING_MAX 32u

bool ike_v1_aggressive(const struct ike_v1 *v)
{
	for (unsigned i = 0; i < v->n_candidates; i++)
		if (v->candidates[i].group[0] != '\0')
			return true;
	return false;
}

/* Who asks, in one number: of the client's cookie, its address and port; keyed, so that nobody can aim at a place of the table. */
static bool asker_of(const struct ike_v1 *v, const struct vd_sa *remote, const uint8_t *icookie, uint64_t *ret_asker)
{
	uint8_t port[2] = { (uint8_t)(remote->port >> 8), (uint8_t)remote->port }, mac[64];
	struct vd_slice parts[] = { { icookie, IKE_COOKIE_LEN }, { remote->ip.a, sizeof(remote->ip.a) }, { port, 2 } };
	size_t n;

	if (vd_hmac("SHA256", &v->secret, sizeof(v->secret), parts, VD_ARRAY_SIZE(parts), mac, &n) < 0)
		return false;
	memcpy(ret_asker, mac, sizeof(*ret_asker));
	*ret_asker |= 1; /* 0: none */
	return true;
}

static struct ike_v1_sa **askers(struct ike_v1 *v, uint64_t asker)
{
	return &v->askers[(asker >> 1) % IKE_V1_BUCKETS];
}

static struct ike_v1_sa *asked_by(struct ike_v1 *v, uint64_t asker)
{
	struct ike_v1_sa *sa = *askers(v, asker);

	while (sa != NULL && sa->asker != asker)
		sa = sa->asker_next;
	return sa;
}

static void asker_insert(struct ike_v1_sa *sa, uint64_t asker)
{
	struct ike_v1_sa **at = askers(sa->v, asker);

	sa->asker = asker;
	sa->asker_next = *at;
	*at = sa;
}

static void half_open_insert(struct ike_v1_sa *sa)
{
	struct ike_v1 *v = sa->v;

	sa->am_older = v->am_newest;
	*(sa->am_older != NULL ? &sa->am_older->am_newer : &v->am_oldest) = sa;
	v->am_newest = sa;
}

void ike_v1_am_half_open_done(struct ike_v1_sa *sa)
{
	struct ike_v1 *v = sa->v;

	*(sa->am_newer != NULL ? &sa->am_newer->am_older : &v->am_newest) = sa->am_older;
	*(sa->am_older != NULL ? &sa->am_older->am_newer : &v->am_oldest) = sa->am_newer;
	sa->am_newer = sa->am_older = NULL;
}

void ike_v1_am_imported(struct ike_v1_sa *sa)
{
	uint64_t asker;

	if (sa->half_open_source.family != 0 && sa->half_open_as == VD_STANDING_FORGEABLE)
		half_open_insert(sa);
	if (sa->state == IKE_V1_WAIT_AM3 && asker_of(sa->v, &sa->path.remote, sa->icookie, &asker))
		asker_insert(sa, asker);
}

void ike_v1_am_forget(struct ike_v1_sa *sa)
{
	struct ike_v1_sa **at = askers(sa->v, sa->asker);

	if (sa->asker == 0)
		return;
	while (*at != sa)
		at = &(*at)->asker_next;
	*at = sa->asker_next;
	sa->asker = 0;
}

/* The connections of this group; by their keys nothing can be told before message 3. */
static const struct ike_v1_candidate *candidate_of(const struct ike_v1 *v, const struct ike_payload *id, uint16_t auth)
{
	struct vd_rd r;
	size_t len;

	vd_rd_init(&r, id->p, id->len);
	uint8_t type = vd_rd_u8(&r);
	vd_rd_take(&r, 3);
	const uint8_t *name = vd_rd_rest(&r, &len);
	if (!vd_rd_ok(&r) || (type != IKE_ID_KEY_ID && type != IKE_ID_FQDN && type != IKE_ID_USER_FQDN))
		return NULL;
	for (unsigned i = 0; i < v->n_candidates; i++) {
		const struct ike_v1_candidate *c = &v->candidates[i];

		if (c->group[0] != '\0' && (auth == 0 || ike_v1_auth(c) == auth) && strlen(c->group) == len &&
			vd_same(c->group, name, len))
			return c;
	}
	return NULL;
}

/* The first suite of the policy that is offered with the group that the key exchange is of. */
static int choose(const struct ike_v1_candidate *c, const struct ike_offers *offers, size_t ke_len, struct ike_suite *ret_suite)
{
	for (unsigned s = 0; s < c->policy.n_ike; s++)
		for (unsigned i = 0; i < offers->n; i++)
			if (ike_suite_from_phase1(&offers->v[i], ike_v1_auth(c), ret_suite) &&
				ike_suite_equal(ret_suite, &c->policy.ike[s]) && vd_dh_public_len(ret_suite->group) == ke_len)
				return (int)i;
	return -1;
}

/* Why it is not served is said in the report; to the client, the same for all: what groups there are is nobody's business. */
static void refuse(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, struct vd_report report,
	uint16_t notify)
{
	ike_v1_refuse_first(v, path, h, "ike_v1.refused.aggressive", notify, report);
}

void ike_v1_am_off(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h)
{
	refuse(v, path, h, (struct vd_report){ .kind = &ike_fail_aggressive }, IKE_N_INVALID_EXCHANGE_TYPE);
}

static bool am2_put(struct ike_v1_sa *sa)
{
	if (sa->told + sa->mm3.reply.len > AMPLIFY_MAX * sa->asked) {
		vd_count("ike_v1.held.amplify", 1);
		return false;
	}
	sa->told += sa->mm3.reply.len;
	ike_v1_send(sa->v, &sa->path, sa->mm3.reply.p, sa->mm3.reply.len);
	return true;
}

void ike_v1_am2_again(struct ike_v1_sa *sa)
{
	if (!am2_put(sa))
		return;
	vd_count("ike_v1.resent.am2", 1);
	if (++sa->resends < sa->v->opt.resends)
		vd_timer_start(&sa->resend, sa->v->opt.resend_ms << sa->resends);
}

static void am2_send(struct ike_v1_sa *sa, bool ok)
{
	struct ike_header h = ike_v1_header(sa, IKE_X_AGGRESSIVE, 0);
	uint8_t room[IKE_MESSAGE_MAX], hash[IKE_HASH_MAX];
	struct ike_offers offers;
	const char *own_id = "";
	struct ike_out out;

	for (unsigned i = 0; i < sa->v->n_candidates; i++)
		if (strcmp(sa->v->candidates[i].connection, sa->wanted) == 0 && ike_v1_auth(&sa->v->candidates[i]) == sa->auth)
			own_id = sa->v->candidates[i].id;
	if (!ok || ike_offers_parse(1, sa->sa_body.p, sa->sa_body.len, &offers) < 0 || sa->offer >= offers.n) {
		ike_v1_sa_free(sa, "no keys can be made from the pre-shared key");
		return;
	}
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_sa(&out, &offers.v[sa->offer], sa->sa_body.p, NULL, 0);
	ike_out_payload(&out, IKE_P_KE, sa->gxr.p, sa->gxr.len);
	ike_out_payload(&out, IKE_P_NONCE, sa->nr.p, sa->nr.len);
	size_t id_at = out.w.len + 4;
	ike_v1_own_id(sa, own_id, &out);
	int rc = ike_v1_hash_main(&sa->keys, sa->gxr.p, sa->gxi.p, sa->gxr.len, sa->rcookie, sa->icookie, sa->sa_body.p,
		sa->sa_body.len, room + id_at, out.w.len - id_at, hash);
	ike_out_payload(&out, IKE_P_HASH, hash, sa->keys.hash_len);
	ike_v1_vendors(&out, sa->vendors, sa->auth);
	ike_v1_natd_out(sa, &out);
	int len = ike_out_finish(&out);
	if (rc < 0 || len < 0 || ike_v1_buf_set(&sa->mm3.reply, room, (size_t)len) < 0) {
		ike_v1_sa_free(sa, "out of memory");
	} else {
		sa->state = IKE_V1_WAIT_AM3;
		am2_put(sa);
		ike_v1_sa_resend_start(sa);
	}
}

static void am_dh_done(struct ike_v1_dh *dh, int result)
{
	struct ike_v1_sa *sa = dh->owner;
	uint8_t nonce[IKE_V1_NONCE_OURS];
	uint64_t key = 0;

	sa->dh = NULL;
	sa->v->am_computing--;
	vd_random_seen("nonce", nonce, sizeof(nonce));
	for (unsigned i = 0; i < sa->v->n_candidates; i++)
		if (strcmp(sa->v->candidates[i].connection, sa->wanted) == 0 && ike_v1_auth(&sa->v->candidates[i]) == sa->auth)
			key = sa->v->candidates[i].key;
	if (result < 0) {
		vd_count("ike_v1.drop.dh", 1);
		ike_v1_failed(sa, (struct vd_report){ .kind = &ike_fail_key_exchange, .offered = vd_dh_name(dh->group) });
		ike_v1_sa_free(sa, "bad key exchange value");
		return;
	}
	sa->shared = vd_secret_ref(dh->shared);
	if (key == 0 || ike_v1_buf_set(&sa->nr, nonce, sizeof(nonce)) < 0 || ike_v1_buf_set(&sa->gxr, dh->own, dh->len) < 0 ||
		ike_v1_psk_ask(sa, key, am2_send) < 0)
		ike_v1_sa_free(sa, "its connection is gone, or memory is short");
}

static void no_proposal(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h,
	const struct ike_v1_candidate *c, const struct ike_offers *offers)
{
	struct ike_allows list[IKE_V1_CANDIDATES_MAX];
	unsigned n = ike_v1_allows(v, c->connection, ike_v1_auth(c), list);
	struct ike_advice advice;

	ike_advise(vd_conf_current(), 1, offers, list, n, false, false, &advice);
	refuse(v, path, h, (struct vd_report){ .kind = &ike_fail_no_proposal, .connection = c->connection,
		.offered = advice.offered, .configured = advice.configured, .difference = advice.difference,
		.remedy = advice.remedy, .origin = c->origin }, IKE_N_NO_PROPOSAL_CHOSEN);
}

/* Fills in what message 1 says; false when memory is short. */
static bool am1_keep(struct ike_v1_sa *sa, const struct ike_chain *chain, const struct ike_v1_candidate *c,
	const struct ike_offers *offers)
{
	const struct ike_payload *ke = ike_chain_find(chain, IKE_P_KE, 0), *nonce = ike_chain_find(chain, IKE_P_NONCE, 0);
	const struct ike_payload *id = ike_chain_find(chain, IKE_P_ID, 0), *offered = &chain->v[0];

	sa->auth = ike_v1_auth(c);
	sa->life_seconds = offers->v[sa->offer].life_seconds;
	vd_strcpy(sa->wanted, sizeof(sa->wanted), c->connection);
	for (unsigned i = 0; i < chain->n; i++)
		if (chain->v[i].type == IKE_P_VENDOR)
			sa->vendors |= ike_vendor_flag(chain->v[i].p, chain->v[i].len);
	sa->natt = sa->vendors & IKE_V_RFC3947 ? IKE_V1_NATT_RFC : sa->vendors & IKE_V_NATT_02N ? IKE_V1_NATT_DRAFT :
		IKE_V1_NATT_NONE;
	return ike_v1_buf_set(&sa->sa_body, offered->p, offered->len) == 0 && ike_v1_buf_set(&sa->gxi, ke->p, ke->len) == 0 &&
		ike_v1_buf_set(&sa->ni, nonce->p, nonce->len) == 0 && ike_v1_buf_set(&sa->idii, id->p, id->len) == 0;
}

/* A place for one that nothing proves: when all of those are taken, the oldest of them goes. Its client had the longest time to
 * answer, so an honest one that is not far away gets through a flood. */
static bool place_take(struct ike_v1 *v, const struct vd_ip *source)
{
	if (v->port->half_open_take(v->port->self, source, VD_STANDING_FORGEABLE))
		return true;
	if (v->am_oldest == NULL)
		return false;
	vd_count("ike_v1.aggressive.pushed_out", 1);
	ike_v1_sa_free(v->am_oldest, "newer ones of aggressive mode pushed it out");
	return v->port->half_open_take(v->port->self, source, VD_STANDING_FORGEABLE);
}

/* The SA of a message 1 that is new; NULL: it is refused, or not for now. */
static struct ike_v1_sa *am1_sa(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, uint64_t asker,
	unsigned group)
{
	uint8_t rcookie[IKE_COOKIE_LEN];

	if (v->am_computing >= COMPUTING_MAX) {
		ike_v1_refuse_first(v, path, h, "ike_v1.refused.work", IKE_V1_SILENT, ike_v1_too_much_work());
		return NULL;
	}
	if (!ike_v1_dh_afford(group, NULL, VD_STANDING_FORGEABLE)) {
		ike_v1_refuse_first(v, path, h, "ike_v1.refused.budget", IKE_V1_SILENT, (struct vd_report){ .kind = &vd_fail_resources,
			.stage = "phase1", .difference = "too many key exchanges in aggressive mode" });
		return NULL;
	}
	if (!place_take(v, &path->remote.ip)) {
		ike_v1_refuse_first(v, path, h, "ike_v1.refused.half_open", IKE_V1_SILENT, ike_v1_too_many_half_open(false));
		return NULL;
	}
	vd_random_seen("cookie", rcookie, sizeof(rcookie));
	struct ike_v1_sa *sa = ike_v1_sa_new(v, h->icookie, rcookie);
	if (sa == NULL) {
		v->port->half_open_give(v->port->self, &path->remote.ip, VD_STANDING_FORGEABLE);
		return NULL;
	}
	asker_insert(sa, asker);
	sa->half_open_source = path->remote.ip;
	sa->half_open_as = VD_STANDING_FORGEABLE;
	half_open_insert(sa);
	sa->path = *path;
	sa->state = IKE_V1_AM_DH;
	sa->unproven = true;
	sa->life.kind = IKE_V1_T_HALF_OPEN;
	vd_timer_start(&sa->life, v->opt.half_open_ms);
	return sa;
}

static void am1_take(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, uint64_t asker, const uint8_t *p,
	size_t len)
{
	struct ike_offers offers;
	struct ike_suite suite;
	struct ike_chain chain;
	size_t n;

	if (h->flags & IKE_F_ENCRYPTED || h->mid != 0 ||
		ike_chain_parse(h->next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0 || chain.n == 0 ||
		chain.v[0].type != IKE_P_SA || chain.v[0].len > IKE_V1_SA_MAX ||
		ike_offers_parse(1, chain.v[0].p, chain.v[0].len, &offers) < 0) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.am1_malformed", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_malformed, .offered = "message 1 of aggressive mode" });
		return;
	}
	const struct ike_payload *ke = ike_chain_find(&chain, IKE_P_KE, 0), *nonce = ike_chain_find(&chain, IKE_P_NONCE, 0);
	const struct ike_payload *id = ike_chain_find(&chain, IKE_P_ID, 0);
	if (ke == NULL || id == NULL || nonce == NULL || nonce->len < IKE_V1_NONCE_MIN || nonce->len > IKE_V1_NONCE_MAX) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.am1_malformed", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_malformed, .offered = "message 1 of aggressive mode" });
		return;
	}
	bool xauth = offers.n > 0 && offers.v[0].auth == IKE_AUTH_XAUTH_PSK;
	const struct ike_v1_candidate *c = candidate_of(v, id, xauth ? IKE_AUTH_XAUTH_PSK : IKE_AUTH_PSK);
	if (c == NULL)
		c = candidate_of(v, id, 0);
	if (c == NULL) {
		struct ike_ident ident = { 0 };

		if (ike_ident_parse(id->p, id->len, &ident) < 0)
			vd_strcpy(ident.text, sizeof(ident.text), "something malformed");
		refuse(v, path, h, (struct vd_report){ .kind = &ike_fail_group, .offered = ident.text }, IKE_N_INVALID_EXCHANGE_TYPE);
		return;
	}
	int offer = choose(c, &offers, ke->len, &suite);
	if (offer < 0) {
		no_proposal(v, path, h, c, &offers);
		return;
	}
	struct ike_v1_sa *sa = am1_sa(v, path, h, asker, suite.group);
	if (sa == NULL)
		return;
	sa->suite = suite;
	sa->offer = (uint8_t)offer;
	sa->asked = (uint32_t)len;
	if (!am1_keep(sa, &chain, c, &offers) || vd_digest("SHA256", p, len, sa->mm3.digest, &n) < 0) {
		ike_v1_sa_free(sa, "out of memory");
		return;
	}
	vd_count("ike_v1.am1", 1);
	sa->dh = ike_v1_dh_start(suite.group, NULL, ke->p, ke->len, VD_WORK_NEW, am_dh_done, sa);
	if (sa->dh != NULL) {
		v->am_computing++;
	} else {
		ike_v1_refuse(sa, path, IKE_PROTO_ISAKMP, "ike_v1.refused.work", IKE_V1_SILENT, ike_v1_too_much_work());
		ike_v1_sa_free(sa, "too much work is waiting");
	}
}

void ike_v1_am1(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	uint64_t asker;

	if (!asker_of(v, &path->remote, h->icookie, &asker))
		return;
	struct ike_v1_sa *sa = asked_by(v, asker);
	if (sa == NULL) {
		am1_take(v, path, h, asker, p, len);
		return;
	}
	vd_count("ike_v1.duplicate.am1", 1);
	if (sa->state != IKE_V1_WAIT_AM3 || !ike_v1_cache_hit(&sa->mm3, p, len))
		return;
	sa->asked += (uint32_t)len;
	am2_put(sa);
}

static void wrong_psk(struct ike_v1_sa *sa)
{
	const struct ike_v1_candidate *c = NULL;
	char where[160] = "its connection";

	vd_count("ike_v1.failed.psk", 1);
	sa->trials++;
	if (sa->failed_reported)
		return;
	sa->failed_reported = true;
	for (unsigned i = 0; i < sa->v->n_candidates; i++)
		if (strcmp(sa->v->candidates[i].connection, sa->wanted) == 0 && ike_v1_auth(&sa->v->candidates[i]) == sa->auth)
			c = &sa->v->candidates[i];
	if (c != NULL)
		vd_format(where, sizeof(where), "%s.psk of %s (%s)", c->xauth ? "xauth" : "l2tp", c->connection, c->psk_origin);
	ike_v1_failed(sa, (struct vd_report){ .kind = &ike_fail_psk, .connection = sa->wanted, .count = 1, .configured = where,
		.origin = c != NULL ? c->psk_origin : NULL });
}

/* HASH_I, and with it NAT-D, encrypted or not (section 5: it may be either). */
static bool am3_open(struct ike_v1_sa *sa, const struct ike_header *h, uint8_t *p, size_t len, uint8_t *iv,
	struct ike_chain *ret_chain)
{
	uint8_t hash[IKE_HASH_MAX];

	if (ike_v1_iv_first(&sa->keys, sa->gxi.p, sa->gxr.p, sa->gxi.len, iv) < 0 ||
		(h->flags & IKE_F_ENCRYPTED && ike_v1_crypt(&sa->keys, false, iv, p, len) < 0) ||
		ike_chain_parse(h->next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, ret_chain) < 0)
		return false;
	const struct ike_payload *given = ike_chain_find(ret_chain, IKE_P_HASH, 0);
	if (given == NULL || given->len != sa->keys.hash_len)
		return false;
	vd_conceal(given->p, given->len);
	return ike_v1_hash_main(&sa->keys, sa->gxi.p, sa->gxr.p, sa->gxi.len, sa->icookie, sa->rcookie, sa->sa_body.p,
		sa->sa_body.len, sa->idii.p, sa->idii.len, hash) == 0 &&
		vd_verified(vd_same(hash, given->p, given->len));
}

void ike_v1_am3(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	uint8_t message[IKE_MESSAGE_MAX], iv[IKE_BLOCK_MAX];
	struct ike_ident id = { 0 };
	struct ike_chain chain;

	if (h->mid != 0 || len > sizeof(message) || sa->trials >= IKE_V1_TRIALS_MAX) {
		vd_count("ike_v1.drop.am3", 1);
		return;
	}
	memcpy(message, p, len);
	sa->unproven = false; /* it repeats our cookie */
	if (!am3_open(sa, h, message, len, iv, &chain)) {
		wrong_psk(sa);
		vd_wipe(message, len);
		return;
	}
	memcpy(sa->last_block, iv, sa->keys.block);
	ike_v1_natd_in(sa, &chain);
	sa->path = *path;
	bool fresh = ike_chain_notify(&chain, IKE_N_INITIAL_CONTACT);
	vd_wipe(message, len);
	if (ike_ident_parse(sa->idii.p, sa->idii.len, &id) < 0)
		vd_strcpy(id.text, sizeof(id.text), "unknown");
	if (ike_v1_take(sa, sa->wanted, false, id.text, fresh) != NULL)
		ike_v1_above(sa);
}

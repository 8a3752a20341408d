/* Quick mode as responder (RFC 2409 section 5.5), transport mode for L2TP or tunnel mode behind XAuth: one channel per peer,
 * whose SAs the client replaces. The inbound SA is in place before message 2 lets the client use it, the outbound one comes with message 3.
 */
#include "v1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define L2TP_PORT 1701u

static void quick_free(struct ike_v1_quick *q)
{
	vd_secret_free(q->keymat_in);
	vd_secret_free(q->keymat_out);
	ike_v1_buf_free(&q->sa_body);
	ike_v1_buf_free(&q->ni);
	ike_v1_buf_free(&q->nr);
	ike_v1_buf_free(&q->idci);
	ike_v1_buf_free(&q->idcr);
	ike_v1_buf_free(&q->gx);
	vd_dh_free(q->dh_key);
	ike_v1_buf_free(&q->qm1.reply);
	free(q);
}

void ike_v1_quick_kill(struct ike_v1_quick *q)
{
	const struct vd_esp_1 *esp = q->v->esp;

	for (struct ike_v1_quick **at = &q->sa->quicks; *at != NULL; at = &(*at)->next)
		if (*at == q) {
			*at = q->next;
			break;
		}
	vd_timer_stop(&q->timer);
	vd_timer_stop(&q->resend);
	ike_v1_dh_cancel(&q->dh);
	if (q->v->silent)
		;
	else if (q->state >= IKE_V1_Q_INSTALL && q->state < IKE_V1_Q_OUT)
		esp->remove_in(esp->self, q->chan, q->spi_in);
	else if (q->state <= IKE_V1_Q_DH && q->spi_in != 0)
		esp->free_spi(esp->self, q->spi_in);
	q->sa = NULL;
	if (q->pending == 0)
		quick_free(q);
}

static void quick_fired(struct vd_timer *t)
{
	struct ike_v1_quick *q = VD_CONTAINER_OF(t, struct ike_v1_quick, timer);

	if (t->kind == IKE_V1_T_QUICK && q->initiator) {
		ike_v1_quick_unanswered(q);
		return;
	}
	if (t->kind == IKE_V1_T_QUICK) {
		vd_count("ike_v1.failed.quick_timeout", 1);
		ike_v1_failed(q->sa, (struct vd_report){ .kind = &ike_fail_no_quick_3 });
	}
	ike_v1_quick_kill(q);
}

static void quick_resend_fired(struct vd_timer *t)
{
	struct ike_v1_quick *q = VD_CONTAINER_OF(t, struct ike_v1_quick, resend);
	uint32_t most = q->v->opt.resends;

	switch (q->state) {
	case IKE_V1_Q_WAIT_QM2: vd_count("ike_v1.resent.qm1", 1); break;
	case IKE_V1_Q_WAIT_QM3: vd_count("ike_v1.resent.qm2", 1); break;
	case IKE_V1_Q_WAIT_CONNECTED:
		if (q->resends == IKE_V1_COMMIT_RESENDS) {
			ike_v1_quick_out(q);
			return;
		}
		most = IKE_V1_COMMIT_RESENDS + 1; /* once more, to see that nothing came */
		vd_count("ike_v1.resent.qm3", 1);
		break;
	default: return;
	}
	ike_v1_send(q->v, q->initiator ? &q->sa->path : &q->path, q->qm1.reply.p, q->qm1.reply.len);
	if (++q->resends < most)
		vd_timer_start(t, q->v->opt.resend_ms << q->resends);
}

void ike_v1_quick_timers_init(struct ike_v1_quick *q)
{
	vd_timer_init(&q->timer, quick_fired);
	vd_timer_init(&q->resend, quick_resend_fired);
	q->resend.kind = IKE_V1_T_RESEND;
}

/* Takes the best offer of the policy, in its order; but: no suite with this hash, or IKE_HASH_NONE for all. */
static bool choose(struct ike_v1_quick *q, const struct ike_policy *policy, const struct ike_offers *offers,
	bool have_ke, uint8_t but)
{
	for (unsigned s = 0; s < policy->n_esp; s++)
		for (unsigned i = 0; i < offers->n; i++) {
			const struct ike_suite *want = &policy->esp[s];
			const struct ike_offer *o = &offers->v[i];
			struct ike_suite got;

			if (but != IKE_HASH_NONE && want->hash == but)
				break;
			if (!ike_suite_from_phase2(o, &got) || got.encr != want->encr || got.hash != want->hash ||
				got.key_bits != want->key_bits ||
				!ike_encap_fits(o->encap, q->sa->peer->tunnel, q->path.natt))
				continue;
			if ((o->group != 0) != have_ke || (have_ke && !ike_policy_allows_group(policy, o->group)))
				continue;
			q->offer = *o;
			q->suite = got;
			q->group = o->group;
			q->encap = o->encap;
			q->life_seconds = o->life_seconds;
			q->spi_out = (uint32_t)o->spi[0] << 24 | (uint32_t)o->spi[1] << 16 | (uint32_t)o->spi[2] << 8 |
				o->spi[3];
			return true;
		}
	return false;
}

static bool choose_for(struct ike_v1_quick *q, const struct ike_policy *policy, const struct ike_offers *offers,
	bool have_ke)
{
	if (vd_quirk(ike_vendor_profile(q->sa->vendors), IKE_V1_QUIRK_CUTS_SHA256) != NULL &&
		choose(q, policy, offers, have_ke, IKE_HASH_SHA256))
		return true;
	return choose(q, policy, offers, have_ke, IKE_HASH_NONE);
}

/* UDP, any address or name (XP sends a name when it rekeys), our port 1701 or any. */
static const char *ids_wrong(const struct ike_payload *ci, const struct ike_payload *cr)
{
	struct vd_rd r;

	if (ci == NULL || cr == NULL)
		return "no selectors (IDci, IDcr): only UDP 1701 is served, not the whole host";
	vd_rd_init(&r, ci->p, ci->len);
	vd_rd_u8(&r);
	if (vd_rd_u8(&r) != 17)
		return "the client's selector is not UDP";
	vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || vd_rd_left(&r) == 0)
		return "the client's selector is malformed";
	vd_rd_init(&r, cr->p, cr->len);
	vd_rd_u8(&r);
	if (vd_rd_u8(&r) != 17)
		return "the selector of our side is not UDP";
	uint16_t port = vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || vd_rd_left(&r) == 0)
		return "the selector of our side is malformed";
	return port == L2TP_PORT || port == 0 ? NULL : "the selector of our side is not port 1701";
}

/* RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1): the offer is answered unchanged, and lives longer here than it says. A shorter
 * life needs no words (section 4.5.4). */
static void lifetime_out(const struct ike_v1_quick *q, uint32_t spi, struct ike_out *out)
{
	const uint8_t life[] = { 0x80, 1, 0, 1, 0x80, 2, IKE_V1_LIFE_MIN_S >> 8, IKE_V1_LIFE_MIN_S & 0xff };

	if (q->life_seconds == 0 || q->life_seconds >= IKE_V1_LIFE_MIN_S)
		return;
	vd_count("ike_v1.life_raised", 1);
	vd_note('p', q->sa->peer->id, "the other side offers a CHILD SA a lifetime of %u s; here it lives %u s", q->life_seconds,
		IKE_V1_LIFE_MIN_S);
	ike_out_notify(out, IKE_PROTO_ESP, IKE_N_RESPONDER_LIFETIME, &spi, 4, life, sizeof(life));
}

static void qm2_send(struct ike_v1_quick *q)
{
	struct ike_v1_sa *sa = q->sa;
	struct ike_v1_sealed m;
	uint32_t spi = htonl(q->spi_in);

	ike_v1_sealed_begin(sa, &m, IKE_X_QUICK, q->mid);
	ike_out_sa(&m.out, &q->offer, q->sa_body.p, &spi, 4);
	ike_out_payload(&m.out, IKE_P_NONCE, q->nr.p, q->nr.len);
	if (q->gx.len > 0)
		ike_out_payload(&m.out, IKE_P_KE, q->gx.p, q->gx.len);
	ike_out_payload(&m.out, IKE_P_ID, q->idci.p, q->idci.len);
	ike_out_payload(&m.out, IKE_P_ID, q->idcr.p, q->idcr.len);
	if (!sa->peer->tunnel && q->encap != IKE_ENCAP_TRANSPORT) { /* RFC 3947 section 5.2: initiator's address as seen, then our own */
		uint8_t type = sa->natt == IKE_V1_NATT_DRAFT ? IKE_P_NATOA_DRAFT : IKE_P_NATOA;

		ike_out_address(&m.out, type, &q->path.remote.ip);
		ike_out_address(&m.out, type, &q->path.local.ip);
	}
	lifetime_out(q, spi, &m.out);
	int len = ike_v1_sealed_finish(sa, &m, q->mid, q->ni.p, q->ni.len, q->iv);
	if (len < 0 || ike_v1_buf_set(&q->qm1.reply, m.room, (size_t)len) < 0) {
		ike_v1_quick_kill(q);
		return;
	}
	q->state = IKE_V1_Q_WAIT_QM3;
	ike_v1_send(q->v, &q->path, m.room, (size_t)len);
	q->resends = 0;
	if (q->v->opt.resends > 0)
		vd_timer_start(&q->resend, q->v->opt.resend_ms);
}

/* Drops one acknowledgement; true when somebody still waits for it. */
static bool quick_acked(struct ike_v1_quick *q)
{
	q->pending--;
	if (q->sa != NULL)
		return true;
	if (q->pending == 0)
		quick_free(q);
	return false;
}

static void install_in_done(void *arg)
{
	struct ike_v1_quick *q = arg;

	if (!quick_acked(q) || q->state != IKE_V1_Q_INSTALL)
		return;
	if (q->initiator)
		ike_v1_qm3_send(q);
	else
		qm2_send(q);
}

static struct vd_esp_sa esp_sa(const struct ike_v1_quick *q, uint32_t spi, struct vd_secret *keymat)
{
	return (struct vd_esp_sa){ .chan = q->chan,
		.spi = spi,
		.encr = q->suite.encr,
		.integ = ike_hash_integ(q->suite.hash),
		.key_bits = q->suite.key_bits,
		.esn = q->offer.esn,
		.local = q->local,
		.keymat = keymat };
}

static struct vd_secret *keymat(const struct ike_v1_quick *q, uint32_t spi, const struct vd_secret *shared)
{
	const struct vd_esp_1 *esp = q->v->esp;
	size_t len = esp->keymat_len(esp->self, q->suite.encr, q->suite.key_bits, ike_hash_integ(q->suite.hash));
	uint8_t room[256], net[4] = { (uint8_t)(spi >> 24), (uint8_t)(spi >> 16), (uint8_t)(spi >> 8), (uint8_t)spi };
	struct vd_secret *secret = NULL;

	if (len == 0 || len > sizeof(room) - IKE_HASH_MAX)
		return NULL;
	if (ike_v1_keymat(&q->sa->keys, shared != NULL ? vd_secret_data(shared) : NULL,
		shared != NULL ? vd_secret_len(shared) : 0, IKE_PROTO_ESP, net, q->ni.p, q->ni.len, q->nr.p,
		q->nr.len, room, len) == 0)
		secret = vd_secret_new(room, len);
	vd_wipe(room, sizeof(room));
	return secret;
}

static void install_failed(struct ike_v1_quick *q, const char *counter, const char *what)
{
	ike_v1_refuse(q->sa, &q->path, IKE_PROTO_ESP, counter, IKE_N_NO_PROPOSAL_CHOSEN,
		(struct vd_report){ .kind = &vd_fail_resources, .stage = "quick mode", .difference = what });
	if (q->initiator)
		ike_v1_quick_failed(q, what);
	else
		ike_v1_quick_kill(q);
}

void ike_v1_quick_install(struct ike_v1_quick *q, const struct vd_secret *shared)
{
	const struct vd_esp_1 *esp = q->v->esp;

	q->keymat_in = keymat(q, q->spi_in, shared);
	q->keymat_out = keymat(q, q->spi_out, shared);
	if (q->keymat_in == NULL || q->keymat_out == NULL) {
		install_failed(q, "ike_v1.failed.keymat", "keys for this suite cannot be made");
		return;
	}
	struct vd_esp_sa sa = esp_sa(q, q->spi_in, q->keymat_in);
	q->state = IKE_V1_Q_INSTALL;
	q->pending++;
	int rc = esp->install_in(esp->self, &sa, install_in_done, q);
	if (rc < 0) {
		q->pending--;
		q->state = IKE_V1_Q_DH;
		install_failed(q, "ike_v1.failed.install_in", "the inbound SA cannot be installed");
	}
}

static void pfs_done(struct ike_v1_dh *dh, int result)
{
	struct ike_v1_quick *q = dh->owner;

	q->dh = NULL;
	if (result < 0 || ike_v1_buf_set(&q->gx, dh->own, dh->len) < 0) {
		if (q->initiator) {
			vd_count("ike_v1.drop.dh", 1);
			ike_v1_quick_failed(q, "the key exchange value of message 2 of quick mode is wrong");
			return;
		}
		ike_v1_refuse(q->sa, &q->path, IKE_PROTO_ESP, "ike_v1.drop.dh", IKE_N_NO_PROPOSAL_CHOSEN, (struct vd_report){
			.kind = &ike_fail_key_exchange, .stage = "quick mode", .offered = vd_dh_name(dh->group) });
		ike_v1_quick_kill(q);
		return;
	}
	ike_v1_quick_install(q, dh->shared);
}

bool ike_v1_quick_pfs(struct ike_v1_quick *q, struct vd_dh *key, const struct ike_payload *ke)
{
	q->dh = ike_v1_dh_start(q->group, key, ke->p, ke->len, VD_WORK_ESTABLISHED, pfs_done, q);
	return q->dh != NULL;
}

int ike_v1_quick_channel(struct ike_v1_quick *q, const char *upper)
{
	struct ike_v1_peer *peer = q->sa->peer;
	const struct vd_esp_1 *esp = q->v->esp;

	if (peer->chan == 0) {
		struct vd_path path = ike_v1_esp_path(&q->path);
		uint64_t chan;
		int rc = esp->chan_new(
			esp->self, peer->id, VD_ESP_TRANSPORT, &path, upper, &ike_v1_esp_events, q->v, &chan);

		if (rc < 0)
			return rc;
		ike_v1_peer_set_chan(peer, chan);
	}
	q->chan = peer->chan;
	return esp->alloc_spi(esp->self, q->chan, &q->spi_in);
}

static const struct ike_policy *policy_of(const struct ike_v1_sa *sa)
{
	if (sa->peer->dial != NULL)
		return &sa->peer->dial->policy;
	for (unsigned i = 0; i < sa->v->n_candidates; i++)
		if (strcmp(sa->v->candidates[i].connection, sa->peer->connection) == 0)
			return &sa->v->candidates[i].policy;
	return NULL;
}

static void qm1_refused(struct ike_v1_quick *q, uint16_t notify, struct vd_report report)
{
	report.stage = "quick mode";
	ike_v1_refuse(q->sa, &q->path, IKE_PROTO_ESP, "ike_v1.failed.quick", notify, report);
	ike_v1_quick_kill(q);
}

/* "192.168.0.5/32 udp/1701 to 203.0.113.10/32 udp/1701" */
static void selectors_format(const struct ike_payload *ci, const struct ike_payload *cr, char *out, size_t size)
{
	const struct ike_payload *ids[] = { ci, cr };
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < 2 && ci != NULL && cr != NULL; i++) {
		struct ike_ident id = { 0 };
		int rc = ike_ident_parse(ids[i]->p, ids[i]->len, &id);

		if (rc < 0 && rc != -EPROTONOSUPPORT)
			vd_strcpy(id.text, sizeof(id.text), "something malformed");
		len += vd_format(out + len, size - len, id.proto == 17 ? "%s%s udp/%u" : "%s%s port %u of protocol %u",
			i > 0 ? " to " : "", id.text, id.port, id.proto);
	}
	if (out[0] == '\0')
		vd_strcpy(out, size, "everything (no selectors)");
}

static void qm1_take(struct ike_v1_quick *q, const struct ike_chain *chain)
{
	const struct ike_policy *policy = policy_of(q->sa);
	const struct ike_payload *sa = ike_chain_find(chain, IKE_P_SA, 0), *ke = ike_chain_find(chain, IKE_P_KE, 0);
	const struct ike_payload *nonce = ike_chain_find(chain, IKE_P_NONCE, 0);
	const struct ike_payload *ci = ike_chain_find(chain, IKE_P_ID, 0), *cr = ike_chain_find(chain, IKE_P_ID, 1);
	uint8_t ours[IKE_V1_NONCE_OURS];
	struct ike_offers offers;
	char offered[384];

	int rc = sa == NULL || nonce == NULL || nonce->len < IKE_V1_NONCE_MIN || nonce->len > IKE_V1_NONCE_MAX ? -EBADMSG :
		ike_offers_parse(2, sa->p, sa->len, &offers);
	if (rc == -E2BIG)
		return qm1_refused(q, IKE_N_NO_PROPOSAL_CHOSEN, ike_v1_too_many(sa->len));
	if (rc < 0)
		return qm1_refused(q, IKE_N_PAYLOAD_MALFORMED,
			(struct vd_report){ .kind = &ike_fail_malformed, .offered = "message 1 of quick mode" });
	bool tunnel = q->sa->peer->tunnel;
	const char *wrong = tunnel ? ike_v1_tunnel_selectors(q->sa->peer, ci, cr, &q->local) : ids_wrong(ci, cr);
	if (wrong != NULL) {
		selectors_format(ci, cr, offered, sizeof(offered));
		return qm1_refused(q, IKE_N_INVALID_ID_INFORMATION, (struct vd_report){
			.kind = tunnel ? &ike_fail_tunnel_selectors : &ike_fail_selectors,
			.offered = offered, .difference = wrong, .configured = tunnel ?
			"a tunnel for its address alone" : "UDP, port 1701 on the gateway's side" });
	}
	if (policy == NULL)
		return qm1_refused(q, IKE_N_NO_PROPOSAL_CHOSEN, (struct vd_report){ .kind = &ike_fail_connection_gone });
	if (!choose_for(q, policy, &offers, ke != NULL)) {
		ike_v1_refuse_offers(q->sa, &q->path, IKE_PROTO_ESP, "ike_v1.failed.quick", (struct vd_report){
			.kind = &ike_fail_no_esp_proposal }, 2, &offers, q->sa->peer->connection, ke != NULL);
		return ike_v1_quick_kill(q);
	}
	vd_random_seen("nonce", ours, sizeof(ours));
	if (ike_v1_buf_set(&q->sa_body, sa->p, sa->len) < 0 || ike_v1_buf_set(&q->ni, nonce->p, nonce->len) < 0 ||
		ike_v1_buf_set(&q->nr, ours, sizeof(ours)) < 0 || ike_v1_buf_set(&q->idci, ci->p, ci->len) < 0 ||
		ike_v1_buf_set(&q->idcr, cr->p, cr->len) < 0 || ike_v1_quick_channel(q, "l2tp") < 0)
		return qm1_refused(q, IKE_N_NO_PROPOSAL_CHOSEN,
			(struct vd_report){ .kind = &vd_fail_resources, .stage = "quick mode", .difference = "no channel can be had, or no memory for it" });
	if (ke == NULL)
		return ike_v1_quick_install(q, NULL);
	if (!ike_v1_dh_afford(q->group, &q->path.remote.ip, VD_STANDING_ANSWERED)) {
		ike_v1_refuse(q->sa, &q->path, IKE_PROTO_ESP, "ike_v1.refused.budget", IKE_N_NO_PROPOSAL_CHOSEN, (struct vd_report){
			.kind = &vd_fail_resources, .stage = "quick mode", .difference = "too many key exchanges are asked for, in all or from this address" });
		return ike_v1_quick_kill(q);
	}
	if (!ike_v1_quick_pfs(q, NULL, ke))
		qm1_refused(q, IKE_N_NO_PROPOSAL_CHOSEN, (struct vd_report){ .kind = &vd_fail_resources, .stage = "quick mode",
			.difference = "the key exchange value does not fit the group, or too much work is waiting" });
}

static const char *mode_name(const struct ike_v1_quick *q)
{
	if (q->sa->peer->tunnel)
		return q->path.natt ? "tunnel in UDP" : "tunnel";
	return q->path.natt ? "transport in UDP" : "transport";
}

static void install_out_done(void *arg)
{
	struct ike_v1_quick *q = arg;

	if (!quick_acked(q))
		return;
	struct vd_ids ids = { .peer = q->sa->peer->id, .chan = q->chan };
	char suite[IKE_SUITE_TEXT];

	q->state = IKE_V1_Q_DONE;
	ike_suite_format(&q->suite, suite);
	vd_note('p', ids.peer, "CHILD SA is up: in %08x, out %08x, %s%s", q->spi_in, q->spi_out, suite,
		q->offer.esn ? ", ESN" : "");
	vd_log(VD_LOG_INFO, "ike", &ids, "quick mode up: connection %s, ESP %s%s%s%s, %s, SPI in %08x out %08x",
		q->sa->peer->connection, suite, q->offer.esn ? ", ESN" : "", q->group != 0 ? ", PFS " : "",
		q->group != 0 ? vd_dh_name(q->group) : "",
		mode_name(q), q->spi_in, q->spi_out);
	if (q->sa->peer->tunnel)
		ike_v1_tunnel_up(q->sa->peer);
	else if (q->sa->peer->dial != NULL)
		ike_v1_dial_child_up(q->sa->peer->dial);
}

void ike_v1_quick_out(struct ike_v1_quick *q)
{
	const struct vd_esp_1 *esp = q->v->esp;
	struct ike_v1_peer *peer = q->sa->peer;
	struct vd_esp_sa sa = esp_sa(q, q->spi_out, q->keymat_out);
	struct ike_v1_child *child = ike_v1_child_add(peer, q->spi_in, q->spi_out, &q->local);
	uint64_t life = ike_v1_life(q->v, q->life_seconds);

	vd_timer_stop(&q->resend);
	if (child == NULL) {
		ike_v1_quick_kill(q);
		return;
	}
	ike_v1_child_life(child, life, IKE_V1_T_CHILD_LIFE);
	if (peer->dial != NULL) {
		ike_v1_dial_quick_up(peer->dial, life);
	} else {
		ike_v1_child_keep(child, q);
		ike_v1_rekey_plan(child, life);
	}
	q->state = IKE_V1_Q_OUT;
	q->timer.kind = IKE_V1_T_LINGER;
	vd_timer_start(&q->timer, IKE_V1_QUICK_LINGER_MS);
	q->pending++;
	vd_count("ike_v1.child_up", 1);
	int rc = esp->install_out(esp->self, &sa, install_out_done, q);
	/* What stays is for duplicates alone: the data path has its own references to the keys. */
	vd_secret_free(q->keymat_in);
	vd_secret_free(q->keymat_out);
	q->keymat_in = q->keymat_out = NULL;
	if (rc < 0) {
		q->pending--;
		ike_v1_refuse(q->sa, &q->path, IKE_PROTO_ESP, "ike_v1.failed.install_out", IKE_V1_SILENT, (struct vd_report){
			.kind = &vd_fail_resources, .stage = "quick mode", .difference = "the outbound SA cannot be installed" });
		ike_v1_child_remove(child, true);
		ike_v1_quick_kill(q);
	}
}

/* A later message of a quick mode that we know. */
static void quick_continue(
	struct ike_v1_quick *q, const struct vd_path *path, const uint8_t *raw, uint8_t *p, size_t len)
{
	uint8_t iv[IKE_BLOCK_MAX];
	struct ike_v1_sa *sa = q->sa;
	struct ike_chain chain;

	if (ike_v1_cache_hit(&q->qm1, raw, len)) {
		vd_count("ike_v1.duplicate.qm1", 1);
		if (q->state == IKE_V1_Q_WAIT_QM3)
			ike_v1_send(q->v, &sa->path, q->qm1.reply.p, q->qm1.reply.len);
		return;
	}
	if (q->state != IKE_V1_Q_WAIT_QM3) {
		vd_count("ike_v1.duplicate.quick", 1); /* message 3 again, or 1 while we are busy with it */
		return;
	}
	/* HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b), without payloads behind it. */
	memcpy(iv, q->iv, sizeof(iv));
	uint8_t hash[IKE_HASH_MAX], mid[4] = { (uint8_t)(q->mid >> 24), (uint8_t)(q->mid >> 16), (uint8_t)(q->mid >> 8),
		(uint8_t)q->mid };
	static const uint8_t zero = 0;
	struct vd_slice parts[] = { { &zero, 1 }, { mid, 4 }, { q->ni.p, q->ni.len }, { q->nr.p, q->nr.len } };
	if (ike_v1_crypt(&sa->keys, false, iv, p, len) < 0 ||
		ike_chain_parse(p[16], p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0 || chain.n == 0 ||
		chain.v[0].type != IKE_P_HASH || chain.v[0].len != sa->keys.hash_len ||
		ike_v1_hash_a(&sa->keys, parts, 4, hash) < 0 ||
		!vd_verified(vd_same(hash, chain.v[0].p, chain.v[0].len))) {
		vd_count("ike_v1.drop.qm3", 1);
		return;
	}
	vd_conceal(chain.v[0].p, chain.v[0].len);
	memcpy(q->iv, iv, sizeof(iv));
	sa->heard = vd_now();
	ike_v1_peer_moved(sa->peer, path); /* its hash covers our nonce: no replay */
	ike_v1_quick_out(q);
}

/* Finished exchanges wait for duplicates; a client that runs many of them keeps the latest only. */
static void quick_room(struct ike_v1_sa *sa)
{
	struct ike_v1_quick *oldest = NULL;
	unsigned n = 0;

	for (struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next) /* newest first */
		if (q->state >= IKE_V1_Q_OUT) {
			n++;
			oldest = q;
		}
	if (n >= IKE_V1_QUICK_KEPT)
		ike_v1_quick_kill(oldest);
}

struct ike_v1_quick *ike_v1_quick_new(struct ike_v1_sa *sa, const struct vd_path *path, uint32_t mid)
{
	struct ike_v1_quick *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	quick_room(sa);
	q->v = sa->v;
	q->sa = sa;
	q->path = *path;
	q->mid = mid;
	ike_v1_quick_timers_init(q);
	q->timer.kind = IKE_V1_T_QUICK;
	vd_timer_start(&q->timer, sa->v->opt.quick_ms);
	q->next = sa->quicks;
	sa->quicks = q;
	return q;
}

void ike_v1_quick_kill_on(struct ike_v1_sa *sa, uint64_t chan)
{
	struct ike_v1_quick *next;

	for (struct ike_v1_quick *q = sa->quicks; q != NULL; q = next) {
		next = q->next;
		if (q->chan == chan)
			ike_v1_quick_kill(q);
	}
}

void ike_v1_quick_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p,
	size_t len)
{
	uint8_t message[IKE_MESSAGE_MAX], iv[IKE_BLOCK_MAX];
	struct ike_v1_quick *q = sa->quicks;
	struct ike_chain chain;
	const char *why;
	unsigned busy = 0;
	size_t n;

	if (h->mid == 0 || len > sizeof(message)) {
		vd_count("ike_v1.drop.quick_early", 1);
		return;
	}
	memcpy(message, p, len);
	for (; q != NULL && q->mid != h->mid; q = q->next)
		busy += q->state < IKE_V1_Q_OUT;
	if (q != NULL && q->initiator) {
		ike_v1_quick_answer(q, h, message, len);
		return;
	}
	if (q != NULL) {
		quick_continue(q, path, p, message, len);
		return;
	}
	if (busy >= IKE_V1_QUICK_MAX) {
		ike_v1_refuse(sa, path, IKE_PROTO_ESP, "ike_v1.refused.quick_busy", IKE_V1_SILENT, (struct vd_report){
			.kind = &vd_fail_resources, .stage = "quick mode", .difference = "more quick modes at the same time than one IKE SA may have" });
		return;
	}
	if (ike_v1_iv_exchange(&sa->keys, sa->last_block, h->mid, iv) < 0 ||
		ike_v1_open(sa, message, len, iv, NULL, 0, &chain, &why) < 0) {
		vd_count("ike_v1.drop.qm1_hash", 1);
		return;
	}
	if (!ike_v1_mid_fresh(sa, h->mid)) {
		vd_count("ike_v1.drop.qm1_replay", 1);
		return;
	}
	/* An old message 1 may be a replay that the message ids have forgotten, so it moves nobody: message 3 does. */
	sa->heard = vd_now();
	if (sa->xauth != NULL && !ike_v1_xauth_passed(sa)) {
		ike_v1_refuse(sa, path, IKE_PROTO_ESP, "ike_v1.refused.before_xauth", IKE_V1_SILENT,
			(struct vd_report){ .kind = &ike_fail_xauth_skipped });
		return;
	}
	q = ike_v1_quick_new(sa, path, h->mid);
	if (q == NULL)
		return;
	q->state = IKE_V1_Q_DH;
	sa->peer->quick_seen = true;
	memcpy(q->iv, iv, sizeof(iv));
	if (vd_digest("SHA256", p, len, q->qm1.digest, &n) < 0) {
		ike_v1_quick_kill(q);
		return;
	}
	for (unsigned i = 1; i < chain.n; i++)
		if (chain.v[i].type == IKE_P_NOTIFY && chain.v[i].len >= 8 &&
			(chain.v[i].p[6] << 8 | chain.v[i].p[7]) == IKE_N_INITIAL_CONTACT)
			ike_v1_initial_contact(sa);
	qm1_take(q, &chain);
}

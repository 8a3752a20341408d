/* IKE SAs: making, finding, freeing; their timers; small help for all exchanges. */
#include "v1.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ike_v1_buf_set(struct ike_v1_buf *buf, const void *p, size_t len)
{
	uint8_t *copy = NULL;

	if (len > UINT16_MAX)
		return -E2BIG;
	if (len > 0) {
		copy = malloc(len);
		if (copy == NULL)
			return -ENOMEM;
		memcpy(copy, p, len);
	}
	ike_v1_buf_free(buf);
	buf->p = copy;
	buf->len = (uint16_t)len;
	return 0;
}

void ike_v1_buf_free(struct ike_v1_buf *buf)
{
	if (buf->p != NULL)
		vd_wipe(buf->p, buf->len);
	free(buf->p);
	*buf = (struct ike_v1_buf){ 0 };
}

bool ike_v1_cache_hit(const struct ike_v1_cache *cache, const uint8_t *p, size_t len)
{
	uint8_t digest[32];
	size_t n;

	return cache->reply.len > 0 && vd_digest("SHA256", p, len, digest, &n) == 0 &&
		vd_same(digest, cache->digest, sizeof(digest));
}

int ike_v1_cache_set(struct ike_v1_cache *cache, const uint8_t digest[32], const uint8_t *reply, size_t len)
{
	memcpy(cache->digest, digest, sizeof(cache->digest));
	return ike_v1_buf_set(&cache->reply, reply, len);
}

void ike_v1_debug(const char *what, const struct vd_path *path, const uint8_t *p, size_t len)
{
	static const struct { uint8_t exchange; const char *name; } names[] = { { IKE_X_MAIN, "main mode" }, { IKE_X_AGGRESSIVE, "aggressive mode" },
		{ IKE_X_TRANSACTION, "mode config" }, { IKE_X_INFORMATIONAL, "informational" }, { IKE_X_QUICK, "quick mode" } };
	char at[VD_SA_TEXT], cookies[2][2 * IKE_COOKIE_LEN + 1], number[16];
	const char *name = number;
	const struct vd_ids ids = { .remote = &path->remote };
	struct ike_header h;

	if (!vd_log_enabled(VD_LOG_DEBUG, "ike", &ids) || ike_header_parse(p, len, &h) < 0)
		return;
	vd_format(number, sizeof(number), "exchange %u", h.exchange);
	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++)
		name = names[i].exchange == h.exchange ? names[i].name : name;
	vd_log(VD_LOG_DEBUG, "ike", &ids, "%s %s: %s, message %08x, cookies %s %s%s, %zu octets", what, vd_sa_format(&path->remote, at),
		name, h.mid, vd_hex(cookies[0], sizeof(cookies[0]), h.icookie, IKE_COOKIE_LEN),
		vd_hex(cookies[1], sizeof(cookies[1]), h.rcookie, IKE_COOKIE_LEN), h.flags & IKE_F_ENCRYPTED ? ", encrypted" : "", len);
}

int ike_v1_send(struct ike_v1 *v, const struct vd_path *path, const uint8_t *p, size_t len)
{
	ike_v1_debug("sent to", path, p, len);
	return v->port->send(v->port->self, path, p, len);
}

struct ike_header ike_v1_header(const struct ike_v1_sa *sa, uint8_t exchange, uint32_t mid)
{
	struct ike_header h = { .exchange = exchange, .mid = mid };

	memcpy(h.icookie, sa->icookie, IKE_COOKIE_LEN);
	memcpy(h.rcookie, sa->rcookie, IKE_COOKIE_LEN);
	return h;
}

void ike_v1_spi(const struct ike_v1_sa *sa, uint8_t ret_spi[IKE_V1_SPI_LEN])
{
	memcpy(ret_spi, sa->icookie, IKE_COOKIE_LEN);
	memcpy(ret_spi + IKE_COOKIE_LEN, sa->rcookie, IKE_COOKIE_LEN);
}

static struct ike_v1_sa **bucket(struct ike_v1 *v, const uint8_t *rcookie)
{
	return &v->buckets[((uint32_t)rcookie[0] << 16 | (uint32_t)rcookie[1] << 8 | rcookie[2]) % IKE_V1_BUCKETS];
}

struct ike_v1_sa *ike_v1_sa_new(struct ike_v1 *v, const uint8_t *icookie, const uint8_t *rcookie)
{
	struct ike_v1_sa *sa = calloc(1, sizeof(*sa)), **at = bucket(v, rcookie);

	if (sa == NULL)
		return NULL;
	sa->v = v;
	memcpy(sa->icookie, icookie, IKE_COOKIE_LEN);
	memcpy(sa->rcookie, rcookie, IKE_COOKIE_LEN);
	vd_timer_init(&sa->life, ike_v1_sa_life_fired);
	vd_timer_init(&sa->resend, ike_v1_sa_resend_fired);
	sa->hash_next = *at;
	*at = sa;
	return sa;
}

struct ike_v1_sa *ike_v1_sa_find(struct ike_v1 *v, const uint8_t *icookie, const uint8_t *rcookie)
{
	for (struct ike_v1_sa *sa = *bucket(v, rcookie); sa != NULL; sa = sa->hash_next)
		if (vd_same(sa->rcookie, rcookie, IKE_COOKIE_LEN) && vd_same(sa->icookie, icookie, IKE_COOKIE_LEN))
			return sa;
	return NULL;
}

void ike_v1_sa_answered(struct ike_v1_sa *sa, const uint8_t *rcookie)
{
	struct ike_v1_sa **at = bucket(sa->v, sa->rcookie);

	while (*at != sa)
		at = &(*at)->hash_next;
	*at = sa->hash_next;
	memcpy(sa->rcookie, rcookie, IKE_COOKIE_LEN);
	at = bucket(sa->v, sa->rcookie);
	sa->hash_next = *at;
	*at = sa;
}

void ike_v1_sa_half_open_done(struct ike_v1_sa *sa)
{
	if (sa->half_open_source.family == 0)
		return;
	sa->v->port->half_open_give(sa->v->port->self, &sa->half_open_source, sa->half_open_as);
	if (sa->half_open_as == VD_STANDING_FORGEABLE)
		ike_v1_am_half_open_done(sa);
	sa->half_open_source.family = 0;
}

void ike_v1_sa_free(struct ike_v1_sa *sa, const char *why)
{
	struct ike_v1_peer *peer = sa->peer;

	for (struct ike_v1_sa **at = bucket(sa->v, sa->rcookie); *at != NULL; at = &(*at)->hash_next)
		if (*at == sa) {
			*at = sa->hash_next;
			break;
		}
	if (peer != NULL)
		for (struct ike_v1_sa **at = &peer->sas; *at != NULL; at = &(*at)->peer_next)
			if (*at == sa) {
				*at = sa->peer_next;
				break;
			}
	ike_v1_am_forget(sa);
	while (sa->quicks != NULL)
		ike_v1_quick_kill(sa->quicks);
	ike_v1_xauth_free(sa);
	ike_v1_fragments_free(sa->fragments);
	ike_v1_sa_half_open_done(sa);
	vd_timer_stop(&sa->life);
	vd_timer_stop(&sa->resend);
	if (sa->state == IKE_V1_AM_DH && sa->dh != NULL)
		sa->v->am_computing--;
	ike_v1_dh_cancel(&sa->dh);
	ike_v1_trial_abandon(sa);
	ike_v1_psk_abandon(sa);
	if (sa->dial != NULL)
		sa->dial->phase1 = NULL;
	vd_dh_free(sa->dh_key);
	ike_v1_buf_free(&sa->sent);
	ike_v1_buf_free(&sa->idii);
	vd_secret_free(sa->shared);
	ike_v1_buf_free(&sa->sa_body);
	ike_v1_buf_free(&sa->ni);
	ike_v1_buf_free(&sa->nr);
	ike_v1_buf_free(&sa->gxi);
	ike_v1_buf_free(&sa->gxr);
	ike_v1_buf_free(&sa->mm3.reply);
	ike_v1_buf_free(&sa->mm5.reply);
	vd_wipe(sa, sizeof(*sa));
	free(sa);
	if (peer != NULL)
		ike_v1_peer_check(peer, why);
}

void ike_v1_sa_life_fired(struct vd_timer *t)
{
	struct ike_v1_sa *sa = VD_CONTAINER_OF(t, struct ike_v1_sa, life);

	if (sa->dial != NULL) {
		ike_v1_phase1_failed(sa, NULL);
		return;
	}
	if (t->kind == IKE_V1_T_HALF_OPEN) {
		vd_count("ike_v1.failed.half_open_timeout", 1);
		/* Where NAT was seen, message 5 comes to port 4500 (RFC 3947 section 4). */
		if (!sa->failed_reported)
			ike_v1_failed(sa, (struct vd_report){
				.kind = sa->state == IKE_V1_DH || sa->state == IKE_V1_AM_DH ? &ike_fail_busy :
					sa->state == IKE_V1_WAIT_AM3 ? &ike_fail_no_aggressive_3 : &ike_fail_no_message_5,
				.count = sa->natted_us || sa->natted_peer ? 4500 : sa->path.local.port,
				.remedy = sa->natted_us && sa->state == IKE_V1_WAIT_MM5 ?
					vd_quirk(ike_vendor_profile(sa->vendors), IKE_V1_QUIRK_NATTED) : NULL });
		ike_v1_sa_free(sa, "timed out");
		return;
	}
	ike_v1_info_delete_ike(sa);
	ike_v1_sa_free(sa, t->kind == IKE_V1_T_REPLACED ? "IKE SA was replaced" : "IKE SA lifetime is over");
}

void ike_v1_sa_resend_start(struct ike_v1_sa *sa)
{
	sa->resends = 0;
	sa->resend.kind = IKE_V1_T_RESEND;
	if (sa->v->opt.resends > 0)
		vd_timer_start(&sa->resend, sa->v->opt.resend_ms);
}

void ike_v1_sa_resend_fired(struct vd_timer *t)
{
	struct ike_v1_sa *sa = VD_CONTAINER_OF(t, struct ike_v1_sa, resend);

	if (sa->dial != NULL) {
		ike_v1_phase1_resend(sa);
		return;
	}
	if (sa->state == IKE_V1_WAIT_AM3)
		ike_v1_am2_again(sa);
	if (sa->state != IKE_V1_WAIT_MM5 || sa->mm3.reply.len == 0)
		return;
	vd_count("ike_v1.resent.mm4", 1);
	ike_v1_send(sa->v, &sa->path, sa->mm3.reply.p, sa->mm3.reply.len);
	if (++sa->resends < sa->v->opt.resends)
		vd_timer_start(&sa->resend, sa->v->opt.resend_ms << sa->resends);
}

static bool fresh(struct ike_v1_sa *sa, uint32_t mid)
{
	for (unsigned i = 0; i < IKE_V1_MIDS; i++)
		if (sa->mids[i] == mid)
			return false;
	sa->mids[sa->mid_at] = mid;
	sa->mid_at = (uint16_t)((sa->mid_at + 1u) % IKE_V1_MIDS);
	return true;
}

bool ike_v1_mid_fresh(struct ike_v1_sa *sa, uint32_t mid)
{
	return mid != 0 && fresh(sa, mid);
}

bool ike_v1_info_fresh(struct ike_v1_sa *sa, const uint8_t *p, size_t len)
{
	uint8_t d[32];
	size_t n;

	/* Not 0: it stands for what is free. */
	return vd_digest("SHA256", p, len, d, &n) == 0 &&
		fresh(sa, (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3] | 1u);
}

void ike_v1_failed(const struct ike_v1_sa *sa, struct vd_report report)
{
	if (sa->dial != NULL || (sa->peer != NULL && sa->peer->dial != NULL))
		return; /* of what we dial, whoever asked for it is told why */
	if (sa->peer != NULL) {
		report.peer = sa->peer->id;
		report.chan = sa->peer->chan;
	}
	report.remote = &sa->path.remote;
	report.profile = ike_vendor_profile(sa->vendors);
	report.answered = !sa->unproven;
	vd_report_failure(&report);
}

unsigned ike_v1_allows(const struct ike_v1 *v, const char *connection, uint16_t auth,
	struct ike_allows list[IKE_V1_CANDIDATES_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->n_candidates; i++) {
		const struct ike_v1_candidate *c = &v->candidates[i];

		if ((connection == NULL || strcmp(c->connection, connection) == 0) && (auth == 0 || auth == ike_v1_auth(c)))
			list[n++] = (struct ike_allows){ c->connection, c->origin, c->crypto_written, c->xauth, &c->policy };
	}
	return n;
}

void ike_v1_failed_offers(const struct ike_v1_sa *sa, struct vd_report report, unsigned phase,
	const struct ike_offers *offers, const char *connection, bool have_ke)
{
	struct ike_allows list[IKE_V1_CANDIDATES_MAX];
	unsigned n = ike_v1_allows(sa->v, connection, sa->auth, list);
	struct ike_advice advice;

	ike_advise(vd_conf_current(), phase, offers, list, n, sa->path.natt, have_ke, &advice);
	report.connection = connection;
	report.offered = advice.offered;
	report.configured = advice.configured;
	report.difference = advice.difference;
	report.remedy = advice.remedy;
	report.origin = n == 1 ? list[0].origin : NULL;
	ike_v1_failed(sa, report);
}

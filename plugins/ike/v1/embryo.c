/* Message 1 and its embryos: a table of fixed size in which new ones push out old ones, so that a flood costs nothing
 * but the table. Answers are made from the embryo alone, again for each duplicate.
 *
 * An embryo must outlive the way of message 2 to the client and of message 3 back, and what of the flood waits in front of that:
 * at 20,000 a second the table is new after 1.6 s. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of those that expire, in one go of the sweep: so many are freed, and so many reported. */
#define SWEEP_FREES 2048u
#define SWEEP_REPORTS 16u

bool ike_v1_embryos_new(struct ike_v1 *v, uint32_t n)
{
	v->n_embryos = n / IKE_V1_EMBRYO_WAYS * IKE_V1_EMBRYO_WAYS;
	v->bodies.size = v->n_embryos * IKE_V1_EMBRYO_SA;
	if (v->bodies.size < IKE_V1_EMBRYO_WAYS * IKE_V1_SA_MAX)
		v->bodies.size = IKE_V1_EMBRYO_WAYS * IKE_V1_SA_MAX;
	v->embryos = calloc(v->n_embryos, sizeof(*v->embryos));
	v->bodies.p = calloc(1, v->bodies.size);
	return v->embryos != NULL && v->bodies.p != NULL;
}

void ike_v1_embryos_free(struct ike_v1 *v)
{
	free(v->embryos);
	free(v->bodies.p);
}

void ike_v1_embryo_free(struct ike_v1_embryo *e)
{
	ike_v1_fragments_free(e->fragments);
	e->used = false;
}

void ike_v1_embryo_body_put(struct ike_v1 *v, struct ike_v1_embryo *e, const uint8_t *sa, size_t len)
{
	struct ike_v1_bodies *b = &v->bodies;
	size_t at = b->head % b->size;

	if (at + len > b->size) { /* none goes around the end */
		b->head += b->size - at;
		at = 0;
	}
	memcpy(b->p + at, sa, len);
	e->sa_at = b->head;
	e->sa_len = (uint16_t)len;
	b->head += len;
}

const uint8_t *ike_v1_embryo_body(const struct ike_v1 *v, const struct ike_v1_embryo *e)
{
	return v->bodies.p + e->sa_at % v->bodies.size;
}

bool ike_v1_embryo_lives(const struct ike_v1 *v, const struct ike_v1_embryo *e)
{
	return e->used && vd_now() - e->created <= IKE_V1_EMBRYO_MS && v->bodies.head - e->sa_at <= v->bodies.size;
}

static uint32_t embryo_set(const struct ike_v1 *v, const uint8_t *icookie)
{
	uint64_t h = v->secret;

	for (unsigned i = 0; i < IKE_COOKIE_LEN; i++)
		h = (h ^ icookie[i]) * 0x9e3779b97f4a7c15u;
	return (uint32_t)((h ^ h >> 31) % (v->n_embryos / IKE_V1_EMBRYO_WAYS)) * IKE_V1_EMBRYO_WAYS;
}

struct ike_v1_embryo *ike_v1_embryo_find(struct ike_v1 *v, const uint8_t *icookie, const uint8_t *rcookie)
{
	uint32_t at = embryo_set(v, icookie);

	for (uint32_t i = at; i < at + IKE_V1_EMBRYO_WAYS; i++) {
		struct ike_v1_embryo *e = &v->embryos[i];

		if (e->used && memcmp(e->icookie, icookie, IKE_COOKIE_LEN) == 0 &&
			(rcookie == NULL || memcmp(e->rcookie, rcookie, IKE_COOKIE_LEN) == 0)) {
			if (ike_v1_embryo_lives(v, e))
				return e;
			ike_v1_embryo_free(e);
		}
	}
	return NULL;
}

struct ike_v1_embryo *ike_v1_embryo_place(struct ike_v1 *v, const uint8_t *icookie)
{
	uint32_t at = embryo_set(v, icookie);
	struct ike_v1_embryo *oldest = &v->embryos[at];

	for (uint32_t i = at; i < at + IKE_V1_EMBRYO_WAYS; i++) {
		if (!v->embryos[i].used)
			return &v->embryos[i];
		if (v->embryos[i].created < oldest->created)
			oldest = &v->embryos[i];
	}
	vd_count("ike_v1.embryo.pushed_out", 1);
	ike_v1_embryo_free(oldest);
	return oldest;
}

void ike_v1_embryo_sweep(struct ike_v1 *v)
{
	v->sweep_again = true;
	if (!vd_timer_armed(&v->sweep))
		vd_timer_start(&v->sweep, IKE_V1_EMBRYO_MS + 1);
}

void ike_v1_embryo_sweep_fired(struct vd_timer *t)
{
	struct ike_v1 *v = VD_CONTAINER_OF(t, struct ike_v1, sweep);
	unsigned freed = 0;

	if (v->swept == 0)
		v->sweep_again = false;
	for (; v->swept < v->n_embryos && freed < SWEEP_FREES; v->swept++) {
		struct ike_v1_embryo *e = &v->embryos[v->swept];

		if (!e->used)
			continue;
		if (vd_now() - e->created <= IKE_V1_EMBRYO_MS) {
			v->sweep_again = true;
			continue;
		}
		vd_count("ike_v1.failed.no_message_3", 1);
		if (freed++ < SWEEP_REPORTS)
			vd_report_failure(&(struct vd_report){ .kind = &ike_fail_no_message_3, .remote = &e->path.remote,
				.profile = ike_vendor_profile(e->vendors) });
		ike_v1_embryo_free(e);
	}
	if (v->swept < v->n_embryos) {
		vd_timer_start(&v->sweep, 1);
		return;
	}
	v->swept = 0;
	if (v->sweep_again)
		ike_v1_embryo_sweep(v);
}

/* The offer that most connections allow; among equals the gateway's order of preference, connections in order. */
static int choose(const struct ike_v1 *v, const struct vd_sa *remote, const struct ike_offers *offers)
{
	struct ike_v1_possible list[IKE_V1_POSSIBLE_MAX];
	unsigned best_count = 0, n = ike_v1_possible(v, remote, 0, list);
	int best = -1;

	for (unsigned c = 0; c < n; c++)
		for (unsigned s = 0; s < list[c].policy->n_ike; s++) {
			const struct ike_suite *want = &list[c].policy->ike[s];
			unsigned count = 0;

			for (unsigned k = 0; k < n; k++)
				count += list[k].auth == list[c].auth && ike_policy_allows(list[k].policy, want);
			if (count <= best_count)
				continue;
			for (unsigned i = 0; i < offers->n; i++) {
				struct ike_suite got;

				if (ike_suite_from_phase1(&offers->v[i], list[c].auth, &got) && got.encr == want->encr &&
					got.hash == want->hash && got.group == want->group &&
					got.key_bits == want->key_bits) {
					best = (int)i;
					best_count = count;
					break;
				}
			}
		}
	return best;
}

static void no_proposal(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h,
	const struct ike_offers *offers, uint32_t vendors)
{
	struct ike_allows list[IKE_V1_CANDIDATES_MAX];
	unsigned n = ike_v1_allows(v, NULL, 0, list);
	struct ike_advice advice;

	ike_advise(vd_conf_current(), 1, offers, list, n, false, false, &advice);
	ike_v1_refuse_first(v, path, h, "ike_v1.failed.no_proposal", IKE_N_NO_PROPOSAL_CHOSEN, (struct vd_report){
		.kind = &ike_fail_no_proposal, .profile = ike_vendor_profile(vendors), .connection = n == 1 ? list[0].connection : NULL,
		.offered = advice.offered, .configured = advice.configured, .difference = advice.difference,
		.remedy = advice.remedy, .origin = n == 1 ? list[0].origin : NULL });
}

void ike_v1_vendors(struct ike_out *out, uint32_t vendors, uint16_t auth)
{
	/* One NAT traversal only: clients that see two may mix their payload numbers. */
	if (vendors & IKE_V_RFC3947)
		ike_out_payload(out, IKE_P_VENDOR, ike_vendor_rfc3947, sizeof(ike_vendor_rfc3947));
	else if (vendors & IKE_V_NATT_02N)
		ike_out_payload(out, IKE_P_VENDOR, ike_vendor_natt_02n, sizeof(ike_vendor_natt_02n));
	ike_out_payload(out, IKE_P_VENDOR, ike_vendor_dpd, sizeof(ike_vendor_dpd));
	if (vendors & IKE_V_FRAGMENTATION) /* to others it would be octets for nothing, in an answer to anybody */
		ike_out_payload(out, IKE_P_VENDOR, ike_vendor_fragmentation, sizeof(ike_vendor_fragmentation));
	if (auth != IKE_AUTH_XAUTH_PSK)
		return;
	ike_out_payload(out, IKE_P_VENDOR, ike_vendor_xauth, sizeof(ike_vendor_xauth));
	ike_out_payload(out, IKE_P_VENDOR, ike_vendor_unity, sizeof(ike_vendor_unity));
}

static void mm2_send(struct ike_v1 *v, const struct ike_v1_embryo *e)
{
	struct ike_header h = { .exchange = IKE_X_MAIN };
	struct ike_offers offers;
	struct ike_out out;
	uint8_t room[1024];

	const uint8_t *sa = ike_v1_embryo_body(v, e);

	if (ike_offers_parse(1, sa, e->sa_len, &offers) < 0 || e->offer >= offers.n)
		return;
	memcpy(h.icookie, e->icookie, IKE_COOKIE_LEN);
	memcpy(h.rcookie, e->rcookie, IKE_COOKIE_LEN);
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_sa(&out, &offers.v[e->offer], sa, NULL, 0);
	ike_v1_vendors(&out, e->vendors, offers.v[e->offer].auth);
	int len = ike_out_finish(&out);
	if (len > 0)
		ike_v1_send(v, &e->path, room, (size_t)len);
}

void ike_v1_mm1(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	struct ike_v1_embryo *e = ike_v1_embryo_find(v, h->icookie, NULL);
	struct ike_offers offers;
	struct ike_chain chain;
	uint32_t vendors = 0;

	if (e != NULL && vd_sa_equal(&e->path.remote, &path->remote)) {
		vd_count("ike_v1.duplicate.mm1", 1);
		mm2_send(v, e);
		return;
	}
	if (h->flags & IKE_F_ENCRYPTED || h->mid != 0 ||
		ike_chain_parse(h->next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0 || chain.n == 0 ||
		chain.v[0].type != IKE_P_SA) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.mm1_malformed", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_malformed, .offered = "message 1 of main mode" });
		return;
	}
	const struct ike_payload *sa = &chain.v[0];
	int rc = sa->len > IKE_V1_SA_MAX ? -E2BIG : ike_offers_parse(1, sa->p, sa->len, &offers);
	if (rc == -E2BIG) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.mm1_sa", IKE_N_NO_PROPOSAL_CHOSEN, ike_v1_too_many(sa->len));
		return;
	}
	if (rc < 0) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.mm1_sa", IKE_V1_SILENT, (struct vd_report){ .kind = &ike_fail_malformed,
			.offered = "the SA payload of message 1" });
		return;
	}
	for (unsigned i = 0; i < chain.n; i++)
		if (chain.v[i].type == IKE_P_VENDOR)
			vendors |= ike_vendor_flag(chain.v[i].p, chain.v[i].len);
	int offer = choose(v, &path->remote, &offers);
	if (offer < 0) {
		no_proposal(v, path, h, &offers, vendors);
		return;
	}
	e = ike_v1_embryo_place(v, h->icookie);
	*e = (struct ike_v1_embryo){ .used = true, .created = vd_now(), .path = *path, .offer = (uint8_t)offer,
		.vendors = vendors };
	ike_v1_embryo_body_put(v, e, sa->p, sa->len);
	memcpy(e->icookie, h->icookie, IKE_COOKIE_LEN);
	vd_random_seen("cookie", e->rcookie, IKE_COOKIE_LEN);
	vd_count("ike_v1.mm1", 1);
	ike_v1_embryo_sweep(v);
	mm2_send(v, e);
}

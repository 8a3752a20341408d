/* Viaduct: inner packets to and from the control thread: who takes them, and how an answer gets to the client. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "core/datapath/dp.h"

struct rows {
	struct vd_inner_match v[DP_INNER];
};

static void w_inner_set(struct vd_worker *w, void *arg)
{
	memcpy(w->inner, ((struct rows *)arg)->v, sizeof(w->inner));
}

static bool same(const struct vd_inner_match *a, const struct vd_inner_match *b)
{
	return a->protocol == b->protocol && a->port == b->port && vd_ip_equal(&a->to, &b->to);
}

int dp_inner_input(void *self, const struct vd_inner_match *match,
	void (*fn)(void *arg, uint64_t session, const uint8_t *p, size_t len), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_inner_row was[DP_INNER];
	unsigned n = 0, at;
	while (n < DP_INNER && dp->inner[n].match.protocol)
		n++;
	for (at = 0; at < n && !same(&dp->inner[at].match, match); at++)
		continue;
	if (fn ? at < n : at == n)
		return fn ? -EEXIST : -ENOENT;
	if (fn && n == DP_INNER)
		return -ENOSPC;
	struct rows *rows = calloc(1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	memcpy(was, dp->inner, sizeof(was));
	if (fn) {
		dp->inner[n] = (struct dp_inner_row){ *match, fn, arg };
	} else { /* the workers look no further than the first that is empty */
		dp->inner[at] = dp->inner[n - 1];
		dp->inner[n - 1] = (struct dp_inner_row){ 0 };
	}
	for (unsigned i = 0; i < DP_INNER; i++)
		rows->v[i] = dp->inner[i].match;
	int rc = dp_call_all(dp, w_inner_set, rows, free, rows);
	if (rc < 0) {
		memcpy(dp->inner, was, sizeof(was));
		free(rows);
	}
	return rc;
}

void dp_inner_punted(struct vd_datapath *dp, const struct dp_r_punt *head, const uint8_t *p, size_t len)
{
	struct vd_pkt pkt = { .p = (uint8_t *)(uintptr_t)p, .len = (uint32_t)len };
	struct dp_inner in;
	/* The worker may have had other rows than there are now. */
	if (dp_inner_parse(&pkt, &in))
		for (unsigned i = 0; i < DP_INNER && dp->inner[i].match.protocol; i++)
			if (dp_inner_looks(&dp->inner[i].match, &pkt, &in)) {
				dp->inner[i].fn(dp->inner[i].arg, head->session, pkt.p, pkt.len);
				return;
			}
	vd_count("datapath.drop.punt_inner", 1);
}

int dp_session_send(void *self, uint64_t session, const void *p, size_t len)
{
	struct vd_datapath *dp = self;
	struct dp_session *s = dp_session_of(dp, session);
	if (!s || !s->w || !s->established)
		return -ESTALE;
	struct dp_r_session head = { session, s->w->index + 1 };
	if (len > DP_ROOM)
		return -EMSGSIZE;
	return dp->backlog[s->worker] ? -ENOBUFS : dp_hand(dp, s->worker, DP_R_SESSION, &head, sizeof(head), p, len);
}

/* Export and import: embryos, then peers with their CHILD SAs, then IKE SAs with their quick modes. Every record is
 * written by the same walk that reads it, so that both cannot differ. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One direction or the other over the same fields. */
struct walk {
	struct vd_wr *w; /* export */
	struct vd_rd *r; /* import */
};

static void walk_u64(struct walk *k, uint64_t *v)
{
	if (k->w != NULL)
		vd_wr_u64(k->w, *v);
	else
		*v = vd_rd_u64(k->r);
}

#define WALK_INT(k, field)                                                                                          \
	do {                                                                                                        \
		uint64_t walk_v_ = (uint64_t)(field);                                                               \
		walk_u64((k), &walk_v_);                                                                            \
		(field) = walk_v_;                                                                                  \
	} while (0)

static void walk_bytes(struct walk *k, void *p, size_t len)
{
	if (k->w != NULL)
		vd_wr_put(k->w, p, len);
	else
		vd_rd_copy(k->r, p, len);
}

static void walk_text(struct walk *k, char *p, size_t size)
{
	walk_bytes(k, p, size);
	p[size - 1] = '\0';
}

/* Times in the past are exported as age; 0 is never, and stays so. */
static void walk_age(struct walk *k, uint64_t *at)
{
	uint64_t age = k->w == NULL ? 0 : *at == 0 ? UINT64_MAX : vd_now() - *at;

	walk_u64(k, &age);
	if (k->r != NULL)
		*at = age > vd_now() ? 0 : vd_now() - age;
}

static void walk_timer(struct walk *k, struct vd_timer *t)
{
	uint64_t left = vd_timer_left(t);

	WALK_INT(k, t->kind);
	walk_u64(k, &left);
	if (k->r != NULL && left != UINT64_MAX && vd_rd_ok(k->r))
		vd_timer_start(t, left);
}

static void walk_sa_address(struct walk *k, struct vd_sa *sa)
{
	WALK_INT(k, sa->ip.family);
	walk_bytes(k, sa->ip.a, sizeof(sa->ip.a));
	WALK_INT(k, sa->port);
	WALK_INT(k, sa->scope);
}

static void walk_path(struct walk *k, struct vd_path *path)
{
	walk_u64(k, &path->endpoint);
	walk_sa_address(k, &path->local);
	walk_sa_address(k, &path->remote);
	WALK_INT(k, path->natt);
}

static void walk_buf(struct walk *k, struct ike_v1_buf *buf)
{
	uint64_t len = buf->len;

	walk_u64(k, &len);
	if (k->w != NULL) {
		vd_wr_put(k->w, buf->p, buf->len);
		return;
	}
	const uint8_t *p = len <= UINT16_MAX ? vd_rd_take(k->r, len) : NULL;
	if (p == NULL || ike_v1_buf_set(buf, p, len) < 0)
		vd_rd_fail(k->r);
}

static void walk_secret(struct walk *k, struct vd_secret **secret)
{
	uint64_t len = *secret != NULL ? vd_secret_len(*secret) : 0;

	walk_u64(k, &len);
	if (k->w != NULL) {
		if (len > 0)
			vd_wr_put(k->w, vd_secret_data(*secret), len);
		return;
	}
	const uint8_t *p = len <= VD_DH_MAX_SHARED ? vd_rd_take(k->r, len) : NULL;
	if (p == NULL && len > 0)
		vd_rd_fail(k->r);
	else if (len > 0 && (*secret = vd_secret_new(p, len)) == NULL)
		vd_rd_fail(k->r);
}

static void walk_suite(struct walk *k, struct ike_suite *s)
{
	WALK_INT(k, s->encr);
	WALK_INT(k, s->hash);
	WALK_INT(k, s->group);
	WALK_INT(k, s->key_bits);
}

static void walk_keys(struct walk *k, struct ike_v1_keys *keys)
{
	walk_text(k, keys->md, sizeof(keys->md));
	walk_text(k, keys->cipher, sizeof(keys->cipher));
	WALK_INT(k, keys->hash_len);
	WALK_INT(k, keys->key_len);
	WALK_INT(k, keys->block);
	walk_bytes(k, keys->skeyid, sizeof(keys->skeyid));
	walk_bytes(k, keys->d, sizeof(keys->d));
	walk_bytes(k, keys->a, sizeof(keys->a));
	walk_bytes(k, keys->e, sizeof(keys->e));
	walk_bytes(k, keys->key, sizeof(keys->key));
	if (k->r != NULL &&
		(keys->hash_len > IKE_HASH_MAX || keys->key_len > sizeof(keys->key) || keys->block > IKE_BLOCK_MAX))
		vd_rd_fail(k->r);
}

static void walk_cache(struct walk *k, struct ike_v1_cache *cache)
{
	walk_bytes(k, cache->digest, sizeof(cache->digest));
	walk_buf(k, &cache->reply);
}

/* body: of its SA payload, IKE_V1_SA_MAX octets. */
static void walk_embryo(struct walk *k, struct ike_v1_embryo *e, uint8_t *body)
{
	walk_bytes(k, e->icookie, IKE_COOKIE_LEN);
	walk_bytes(k, e->rcookie, IKE_COOKIE_LEN);
	walk_age(k, &e->created);
	walk_path(k, &e->path);
	WALK_INT(k, e->vendors);
	WALK_INT(k, e->offer);
	WALK_INT(k, e->sa_len);
	if (e->sa_len > IKE_V1_SA_MAX) {
		e->sa_len = 0;
		vd_rd_fail(k->r);
	}
	walk_bytes(k, body, e->sa_len);
	e->used = true;
}

static void walk_offer(struct walk *k, struct ike_offer *o)
{
	WALK_INT(k, o->proposal);
	WALK_INT(k, o->protocol);
	WALK_INT(k, o->at);
	WALK_INT(k, o->len);
	WALK_INT(k, o->esn);
}

static void walk_prefix(struct walk *k, struct vd_prefix *p)
{
	WALK_INT(k, p->ip.family);
	walk_bytes(k, p->ip.a, sizeof(p->ip.a));
	WALK_INT(k, p->len);
}

static void walk_quick(struct walk *k, struct ike_v1_quick *q)
{
	WALK_INT(k, q->state);
	WALK_INT(k, q->initiator);
	WALK_INT(k, q->commit);
	WALK_INT(k, q->mid);
	WALK_INT(k, q->spi_in);
	WALK_INT(k, q->spi_out);
	WALK_INT(k, q->life_seconds);
	walk_bytes(k, q->iv, sizeof(q->iv));
	walk_u64(k, &q->chan);
	walk_path(k, &q->path);
	walk_suite(k, &q->suite);
	WALK_INT(k, q->group);
	WALK_INT(k, q->encap);
	walk_prefix(k, &q->local);
	walk_offer(k, &q->offer);
	walk_buf(k, &q->sa_body);
	walk_buf(k, &q->ni);
	walk_buf(k, &q->nr);
	walk_buf(k, &q->idci);
	walk_buf(k, &q->idcr);
	walk_buf(k, &q->gx);
	walk_secret(k, &q->keymat_in);
	walk_secret(k, &q->keymat_out);
	walk_cache(k, &q->qm1);
	walk_timer(k, &q->timer);
	walk_timer(k, &q->resend);
	WALK_INT(k, q->resends);
	if (k->r != NULL && ((size_t)q->offer.at + q->offer.len > q->sa_body.len || q->state > IKE_V1_Q_DONE ||
		q->state == IKE_V1_Q_OWN_DH))
		vd_rd_fail(k->r);
}

static void walk_child(struct walk *k, struct ike_v1_child *c)
{
	struct ike_v1_terms *t = &c->terms;

	walk_timer(k, &c->timer);
	walk_timer(k, &c->soft);
	WALK_INT(k, c->tries);
	walk_suite(k, &t->suite);
	WALK_INT(k, t->group);
	WALK_INT(k, t->encap);
	WALK_INT(k, t->life_seconds);
	walk_offer(k, &t->offer);
	walk_buf(k, &t->transform);
	walk_buf(k, &t->ours);
	walk_buf(k, &t->theirs);
	if (k->r != NULL && t->transform.len > 0 && (size_t)t->offer.at + t->offer.len > t->transform.len)
		vd_rd_fail(k->r);
}

static void walk_xauth(struct walk *k, struct ike_v1_sa *sa)
{
	bool there = sa->xauth != NULL;

	WALK_INT(k, there);
	if (!there)
		return;
	struct ike_v1_xauth *x = k->r == NULL ? sa->xauth : ike_v1_xauth_new(sa);
	if (x == NULL) {
		vd_rd_fail(k->r);
		return;
	}
	WALK_INT(k, x->state);
	WALK_INT(k, x->tries);
	walk_u64(k, &x->session);
	walk_u64(k, &x->conversation);
	WALK_INT(k, x->another);
	walk_bytes(k, x->given, sizeof(x->given));
	WALK_INT(k, x->mid);
	WALK_INT(k, x->id);
	walk_bytes(k, x->iv, sizeof(x->iv));
	walk_buf(k, &x->sent);
	WALK_INT(k, x->resends);
	walk_cache(k, &x->answered);
	walk_timer(k, &x->resend);
	walk_timer(k, &x->patience);
	if (k->r != NULL && (x->state > IKE_V1_X_DONE || x->state == IKE_V1_X_CHECKING || x->state == IKE_V1_X_ADMITTED))
		vd_rd_fail(k->r);
}

static void walk_sa(struct walk *k, struct ike_v1_sa *sa)
{
	WALK_INT(k, sa->state);
	walk_path(k, &sa->path);
	WALK_INT(k, sa->half_open_source.family);
	walk_bytes(k, sa->half_open_source.a, sizeof(sa->half_open_source.a));
	WALK_INT(k, sa->half_open_as);
	WALK_INT(k, sa->vendors);
	WALK_INT(k, sa->natt);
	WALK_INT(k, sa->natted_us);
	WALK_INT(k, sa->natted_peer);
	WALK_INT(k, sa->failed_reported);
	walk_suite(k, &sa->suite);
	WALK_INT(k, sa->life_seconds);
	WALK_INT(k, sa->auth);
	WALK_INT(k, sa->trials);
	walk_buf(k, &sa->sa_body);
	walk_buf(k, &sa->ni);
	walk_buf(k, &sa->nr);
	walk_buf(k, &sa->gxi);
	walk_buf(k, &sa->gxr);
	WALK_INT(k, sa->unproven);
	WALK_INT(k, sa->began_anew);
	walk_text(k, sa->wanted, sizeof(sa->wanted));
	walk_buf(k, &sa->idii);
	WALK_INT(k, sa->asked);
	WALK_INT(k, sa->told);
	walk_secret(k, &sa->shared);
	walk_keys(k, &sa->keys);
	walk_bytes(k, sa->last_block, sizeof(sa->last_block));
	walk_cache(k, &sa->mm3);
	walk_cache(k, &sa->mm5);
	for (unsigned i = 0; i < IKE_V1_MIDS; i++)
		WALK_INT(k, sa->mids[i]);
	WALK_INT(k, sa->mid_at);
	WALK_INT(k, sa->dpd_seq);
	WALK_INT(k, sa->dpd_seen);
	walk_age(k, &sa->established);
	walk_age(k, &sa->heard);
	walk_timer(k, &sa->life);
	walk_timer(k, &sa->resend);
	WALK_INT(k, sa->resends);
	walk_xauth(k, sa);
	if (k->r != NULL && (sa->mid_at >= IKE_V1_MIDS || (sa->state > IKE_V1_UP && sa->state != IKE_V1_WAIT_AM3) || sa->gxi.len != sa->gxr.len ||
		sa->ni.len > IKE_V1_NONCE_MAX || sa->nr.len > IKE_V1_NONCE_MAX))
		vd_rd_fail(k->r);
}

static void walk_peer(struct walk *k, struct ike_v1_peer *peer)
{
	walk_u64(k, &peer->chan);
	walk_text(k, peer->connection, sizeof(peer->connection));
	walk_text(k, peer->identity, sizeof(peer->identity));
	walk_path(k, &peer->path);
	WALK_INT(k, peer->natted_us);
	WALK_INT(k, peer->quick_seen);
	WALK_INT(k, peer->tunnel);
	walk_u64(k, &peer->session);
	walk_timer(k, &peer->orphan);
	walk_timer(k, &peer->keepalive);
}

static void export_sa(struct vd_wr *w, struct ike_v1_sa *sa)
{
	struct walk k = { .w = w };
	uint32_t n = 0;

	vd_wr_put(w, sa->icookie, IKE_COOKIE_LEN);
	vd_wr_put(w, sa->rcookie, IKE_COOKIE_LEN);
	walk_sa(&k, sa);
	for (struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next)
		n++;
	vd_wr_u32(w, n);
	for (struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next)
		walk_quick(&k, q);
}

/* Half-open SAs are those without a peer; they stand in the hash chains alone. */
static bool sa_busy(const struct ike_v1_sa *sa)
{
	if (sa->state == IKE_V1_DH || sa->state == IKE_V1_TRIAL || sa->state == IKE_V1_AM_DH ||
		(sa->xauth != NULL && (sa->xauth->state == IKE_V1_X_CHECKING || sa->xauth->state == IKE_V1_X_ADMITTED)))
		return true;
	for (const struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next)
		if (q->pending > 0 || q->dh != NULL)
			return true;
	return false;
}

static int v1_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	struct ike_v1 *v = self;
	struct walk k = { .w = w };
	uint32_t embryos = 0, peers = 0, half_open = 0;
	uint8_t body[IKE_V1_SA_MAX];

	for (struct ike_v1_peer *p = v->peers; p != NULL; p = p->next)
		if (p->dial != NULL)
			return vd_error_set(err, -EBUSY, "connections that were dialled cannot be handed over: take them down first");
	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (struct ike_v1_sa *sa = v->buckets[i]; sa != NULL; sa = sa->hash_next) {
			if (sa_busy(sa))
				return vd_error_set(err, -EAGAIN,
					"an IKEv1 exchange waits for a computation or an acknowledgement");
			half_open += sa->peer == NULL;
		}
	for (uint32_t i = 0; i < v->n_embryos; i++)
		embryos += ike_v1_embryo_lives(v, &v->embryos[i]);
	vd_wr_u64(w, v->secret);
	vd_wr_u32(w, v->n_embryos);
	vd_wr_u32(w, embryos);
	for (uint32_t i = 0; i < v->n_embryos; i++)
		if (ike_v1_embryo_lives(v, &v->embryos[i])) {
			vd_wr_u32(w, i);
			memcpy(body, ike_v1_embryo_body(v, &v->embryos[i]), v->embryos[i].sa_len);
			walk_embryo(&k, &v->embryos[i], body);
		}
	for (struct ike_v1_peer *p = v->peers; p != NULL; p = p->next)
		peers++;
	vd_wr_u32(w, peers);
	for (struct ike_v1_peer *p = v->peers; p != NULL; p = p->next) {
		uint32_t n = 0;

		vd_wr_u64(w, p->id);
		walk_peer(&k, p);
		for (struct ike_v1_child *c = p->children; c != NULL; c = c->next)
			n++;
		vd_wr_u32(w, n);
		for (struct ike_v1_child *c = p->children; c != NULL; c = c->next) {
			vd_wr_u32(w, c->spi_in);
			vd_wr_u32(w, c->spi_out);
			walk_prefix(&k, &c->local);
			walk_child(&k, c);
		}
		n = 0;
		for (struct ike_v1_sa *sa = p->sas; sa != NULL; sa = sa->peer_next)
			n++;
		vd_wr_u32(w, n);
		for (struct ike_v1_sa *sa = p->sas; sa != NULL; sa = sa->peer_next)
			export_sa(w, sa);
	}
	vd_wr_u32(w, half_open);
	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (struct ike_v1_sa *sa = v->buckets[i]; sa != NULL; sa = sa->hash_next)
			if (sa->peer == NULL)
				export_sa(w, sa);
	return vd_wr_ok(w) ? 0 : vd_error_set(err, -ENOSPC, "no room for the IKEv1 state");
}

static struct ike_v1_sa *import_sa(struct ike_v1 *v, struct vd_rd *r)
{
	uint8_t icookie[IKE_COOKIE_LEN], rcookie[IKE_COOKIE_LEN];
	struct walk k = { .r = r };
	struct ike_v1_quick **tail;

	vd_rd_copy(r, icookie, sizeof(icookie));
	vd_rd_copy(r, rcookie, sizeof(rcookie));
	struct ike_v1_sa *sa = vd_rd_ok(r) ? ike_v1_sa_new(v, icookie, rcookie) : NULL;
	if (sa == NULL)
		return NULL;
	walk_sa(&k, sa);
	uint32_t n = vd_rd_u32(r);
	tail = &sa->quicks;
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++) {
		struct ike_v1_quick *q = calloc(1, sizeof(*q));

		if (q == NULL) {
			vd_rd_fail(r);
			break;
		}
		q->v = v;
		q->sa = sa;
		ike_v1_quick_timers_init(q);
		*tail = q;
		tail = &q->next;
		walk_quick(&k, q);
	}
	if (!vd_rd_ok(r)) {
		sa->half_open_source.family = 0;
		ike_v1_sa_free(sa, "import failed");
		return NULL;
	}
	if (sa->half_open_source.family != 0 && !v->port->half_open_take(v->port->self, &sa->half_open_source, sa->half_open_as))
		sa->half_open_source.family = 0;
	ike_v1_am_imported(sa);
	return sa;
}

static bool import_peer(struct ike_v1 *v, struct vd_rd *r, struct ike_v1_peer ***tail)
{
	struct walk k = { .r = r };
	struct ike_v1_peer *p = calloc(1, sizeof(*p));
	struct ike_v1_child **child = p != NULL ? &p->children : NULL;
	struct ike_v1_sa **sa = p != NULL ? &p->sas : NULL;

	if (p == NULL)
		return false;
	p->v = v;
	ike_v1_peer_timers_init(p);
	p->id = vd_rd_u64(r);
	if (*tail != &v->peers)
		p->prev = VD_CONTAINER_OF(*tail, struct ike_v1_peer, next);
	**tail = p;
	*tail = &p->next;
	walk_peer(&k, p);
	ike_v1_peer_index(p);
	uint32_t n = vd_rd_u32(r);
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++) {
		uint32_t in = vd_rd_u32(r), out = vd_rd_u32(r);
		struct vd_prefix local = { 0 };

		walk_prefix(&k, &local);
		/* Added at the head of nothing, then moved to the tail: the order stays. */
		struct ike_v1_child *rest = p->children;
		p->children = NULL;
		struct ike_v1_child *c = ike_v1_child_add(p, in, out, &local);
		p->children = rest;
		if (c == NULL)
			return false;
		*child = c;
		child = &c->next;
		walk_child(&k, c);
	}
	n = vd_rd_u32(r);
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++) {
		struct ike_v1_sa *s = import_sa(v, r);

		if (s == NULL)
			return false;
		s->peer = p;
		*sa = s;
		sa = &s->peer_next;
		if (s->state != IKE_V1_UP)
			vd_rd_fail(r);
	}
	if (p->chan != 0 && v->esp->chan_adopt(v->esp->self, p->chan, &ike_v1_esp_events, v) < 0)
		vd_count("ike_v1.import.no_channel", 1);
	else
		ike_v1_tunnel_adopt(p);
	return vd_rd_ok(r);
}

/* Chains are exported from the head; putting each at the head turns them round, so they are turned back. */
static void chains_reverse(struct ike_v1 *v)
{
	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++) {
		struct ike_v1_sa *out = NULL, *next;

		for (struct ike_v1_sa *sa = v->buckets[i]; sa != NULL; sa = next) {
			next = sa->hash_next;
			sa->hash_next = out;
			out = sa;
		}
		v->buckets[i] = out;
	}
}

static int v1_import(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	struct ike_v1 *v = self;
	struct walk k = { .r = r };
	struct ike_v1_peer **tail = &v->peers;
	uint8_t body[IKE_V1_SA_MAX];

	(void)mode; /* message ids and IVs are random or hashed: nothing counts up here */
	if (version != ike_v1_layer.version)
		return vd_error_set(
			err, -EPROTONOSUPPORT, "IKEv1 state of version %u, this is %u", version, ike_v1_layer.version);
	uint64_t secret = vd_rd_u64(r);
	bool same_table = vd_rd_u32(r) == v->n_embryos;
	if (same_table)
		v->secret = secret;
	uint32_t n = vd_rd_u32(r);
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++) {
		struct ike_v1_embryo e = { 0 }, *to;
		uint32_t at = vd_rd_u32(r);

		walk_embryo(&k, &e, body);
		if (!vd_rd_ok(r))
			break;
		to = same_table && at < v->n_embryos && !v->embryos[at].used ? &v->embryos[at] : ike_v1_embryo_place(v, e.icookie);
		*to = e;
		ike_v1_embryo_body_put(v, to, body, e.sa_len);
		ike_v1_embryo_sweep(v);
	}
	n = vd_rd_u32(r);
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++)
		if (!import_peer(v, r, &tail))
			break;
	n = vd_rd_u32(r);
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++) {
		struct ike_v1_sa *sa = import_sa(v, r);

		if (sa != NULL && (sa->state == IKE_V1_WAIT_MM5 || sa->state == IKE_V1_WAIT_AM3) && sa->quicks == NULL)
			continue;
		if (sa != NULL) /* an SA that is up belongs to a peer */
			ike_v1_sa_free(sa, "import failed");
		vd_rd_fail(r);
	}
	chains_reverse(v);
	return vd_rd_ok(r) ? 0 : vd_error_set(err, -EBADMSG, "the IKEv1 state is cut or damaged");
}

const struct vd_layer ike_v1_layer = { .name = "ike_v1", .version = 8, .export_ = v1_export, .import = v1_import };

/* Informational exchanges: Delete, dead peer detection (RFC 3706), notifications. Believed only with a right HASH(1).
 */
#include "v1.h"

#include <string.h>

static void info_send(struct ike_v1_sa *sa, const struct vd_path *path, struct ike_v1_sealed *m, uint32_t mid)
{
	uint8_t iv[IKE_BLOCK_MAX];

	if (ike_v1_iv_exchange(&sa->keys, sa->last_block, mid, iv) < 0)
		return;
	int len = ike_v1_sealed_finish(sa, m, mid, NULL, 0, iv);
	if (len > 0)
		ike_v1_send(sa->v, path, m->room, (size_t)len);
}

static uint32_t info_begin(struct ike_v1_sa *sa, struct ike_v1_sealed *m)
{
	uint32_t mid;

	do
		vd_random_seen("message id", &mid, sizeof(mid));
	while (!ike_v1_mid_fresh(sa, mid));
	ike_v1_sealed_begin(sa, m, IKE_X_INFORMATIONAL, mid);
	return mid;
}

void ike_v1_info_notify(struct ike_v1_sa *sa, const struct vd_path *path, uint8_t protocol, uint16_t type,
	const void *spi, size_t spi_len, const void *data, size_t len)
{
	struct ike_v1_sealed m;

	if (sa->state != IKE_V1_UP)
		return;
	uint32_t mid = info_begin(sa, &m);
	ike_out_notify(&m.out, protocol, type, spi, spi_len, data, len);
	info_send(sa, path, &m, mid);
}

static void info_delete(struct ike_v1_sa *sa, uint8_t protocol, const uint8_t *spi, size_t spi_len)
{
	struct ike_v1_sealed m;

	if (sa->state != IKE_V1_UP)
		return;
	uint32_t mid = info_begin(sa, &m);
	ike_out_begin(&m.out, IKE_P_DELETE);
	vd_wr_u32(&m.out.w, 1);
	vd_wr_u8(&m.out.w, protocol);
	vd_wr_u8(&m.out.w, (uint8_t)spi_len);
	vd_wr_u16(&m.out.w, 1);
	vd_wr_put(&m.out.w, spi, spi_len);
	ike_out_end(&m.out);
	info_send(sa, &sa->path, &m, mid);
	vd_count("ike_v1.delete_sent", 1);
}

void ike_v1_info_alive(struct ike_v1_sa *sa, uint32_t *seq)
{
	uint8_t spi[IKE_V1_SPI_LEN], data[4];

	if (*seq == 0) {
		vd_random_seen("dpd", seq, sizeof(*seq));
		*seq >>= 1; /* RFC 3706 section 6.2: far from running over */
	}
	uint32_t n = ++*seq;
	ike_v1_spi(sa, spi);
	memcpy(data, (uint8_t[]){ (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n }, 4);
	ike_v1_info_notify(sa, &sa->path, IKE_PROTO_ISAKMP, IKE_N_R_U_THERE, spi, sizeof(spi), data, sizeof(data));
}

void ike_v1_info_delete_ike(struct ike_v1_sa *sa)
{
	uint8_t spi[IKE_V1_SPI_LEN];

	ike_v1_spi(sa, spi);
	info_delete(sa, IKE_PROTO_ISAKMP, spi, sizeof(spi));
}

void ike_v1_info_delete_esp(struct ike_v1_sa *sa, uint32_t spi)
{
	uint8_t b[4] = { (uint8_t)(spi >> 24), (uint8_t)(spi >> 16), (uint8_t)(spi >> 8), (uint8_t)spi };

	info_delete(sa, IKE_PROTO_ESP, b, sizeof(b));
}

void ike_v1_initial_contact(struct ike_v1_sa *sa)
{
	struct ike_v1_peer *peer = sa->peer;
	struct ike_v1_sa *next;

	/* What is the peer's own and older than this SA is forgotten; its channel and other peers are not touched. */
	vd_count("ike_v1.initial_contact", 1);
	if (peer->sas != sa)
		return; /* only the newest may say so */
	for (struct ike_v1_sa *old = sa->peer_next; old != NULL; old = next) {
		next = old->peer_next;
		ike_v1_sa_free(old, "initial contact");
	}
}

/* DPD: the acknowledgement repeats SPI and number. Numbers grow, so an old question is not answered again. */
static void r_u_there(
	struct ike_v1_sa *sa, const struct vd_path *path, struct vd_rd *r, const uint8_t *spi, size_t spi_len)
{
	uint32_t seq = vd_rd_u32(r);
	uint8_t data[4] = { (uint8_t)(seq >> 24), (uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq };

	if (!vd_rd_ok(r) || spi_len != 2 * IKE_COOKIE_LEN || memcmp(spi, sa->icookie, IKE_COOKIE_LEN) != 0 ||
		memcmp(spi + IKE_COOKIE_LEN, sa->rcookie, IKE_COOKIE_LEN) != 0) {
		vd_count("ike_v1.drop.dpd", 1);
		return;
	}
	if (sa->dpd_seen && (int32_t)(seq - sa->dpd_seq) < 0) {
		vd_count("ike_v1.drop.dpd_old", 1);
		return;
	}
	sa->dpd_seen = true;
	sa->dpd_seq = seq;
	ike_v1_info_notify(sa, path, IKE_PROTO_ISAKMP, IKE_N_R_U_THERE_ACK, spi, spi_len, data, sizeof(data));
}

/* Returns an error that the other side told, IKE_N_CONNECTED, or 0. */
static uint16_t notify_take(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_payload *p)
{
	struct vd_rd r;

	vd_rd_init(&r, p->p, p->len);
	vd_rd_u32(&r);
	vd_rd_u8(&r);
	uint8_t spi_len = vd_rd_u8(&r);
	uint16_t type = vd_rd_u16(&r);
	const uint8_t *spi = vd_rd_take(&r, spi_len);
	if (!vd_rd_ok(&r)) {
		vd_count("ike_v1.drop.notify", 1);
		return 0;
	}
	switch (type) {
	case IKE_N_R_U_THERE:
		r_u_there(sa, path, &r, spi, spi_len);
		break;
	case IKE_N_CONNECTED:
		return IKE_N_CONNECTED;
	case IKE_N_R_U_THERE_ACK: /* that it came is what counts: sa->heard */
		break;
	case IKE_N_INITIAL_CONTACT:
		ike_v1_initial_contact(sa);
		break;
	case IKE_N_MS_STATUS:
		vd_note('p', sa->peer->id, "Windows says error %u", vd_rd_u32(&r));
		break;
	default:
		vd_note('p', sa->peer->id, "the other side sent notification %u%s%s", type, ike_v1_notify_name(type) ? ", " : "",
			ike_v1_notify_name(type) ? ike_v1_notify_name(type) : "");
		return type < IKE_N_CONNECTED ? type : 0; /* below it are errors */
	}
	return 0;
}

static struct ike_v1_child *child_of(struct ike_v1_peer *peer, uint32_t spi)
{
	/* A Delete names the sender's inbound SPI, our outbound one; some name ours. */
	for (struct ike_v1_child *c = peer->children; c != NULL; c = c->next)
		if (c->spi_out == spi)
			return c;
	for (struct ike_v1_child *c = peer->children; c != NULL; c = c->next)
		if (c->spi_in == spi)
			return c;
	return NULL;
}

/* Returns true when this IKE SA is to go; other SAs go at once. */
static bool delete_take(struct ike_v1_sa *sa, const struct ike_payload *p)
{
	struct vd_rd r;
	bool self = false;

	vd_rd_init(&r, p->p, p->len);
	vd_rd_u32(&r);
	uint8_t protocol = vd_rd_u8(&r), spi_len = vd_rd_u8(&r);
	uint16_t n = vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || vd_rd_left(&r) != (size_t)n * spi_len) {
		vd_count("ike_v1.drop.delete", 1);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		if (protocol == IKE_PROTO_ESP && spi_len == 4) {
			struct ike_v1_child *child = child_of(sa->peer, vd_rd_u32(&r));

			if (child != NULL) {
				vd_note('p', sa->peer->id, "the %s deleted a CHILD SA", sa->peer->dial != NULL ? "gateway" : "client");
				ike_v1_child_remove(child, false);
				if (sa->peer->dial != NULL && sa->peer->children == NULL)
					sa->peer->dial->taken = true;
			}
		} else if (protocol == IKE_PROTO_ISAKMP && spi_len == 2 * IKE_COOKIE_LEN) {
			const uint8_t *spi = vd_rd_take(&r, spi_len);
			struct ike_v1_sa *gone = ike_v1_sa_find(sa->v, spi, spi + IKE_COOKIE_LEN);

			if (gone == sa)
				self = true;
			else if (gone != NULL && gone->peer == sa->peer)
				ike_v1_sa_free(gone, "deleted by the client");
		} else {
			vd_count("ike_v1.drop.delete", 1);
			break;
		}
	}
	return self;
}

void ike_v1_info_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, uint8_t *p,
	size_t len)
{
	uint8_t iv[IKE_BLOCK_MAX];
	struct ike_chain chain;
	const char *why;
	bool self = false;
	uint16_t told = 0, type;

	if (ike_v1_iv_exchange(&sa->keys, sa->last_block, h->mid, iv) < 0 ||
		ike_v1_open(sa, p, len, iv, NULL, 0, &chain, &why) < 0) {
		vd_count("ike_v1.drop.info_hash", 1);
		return;
	}
	/* vpnc draws one octet for its message ids, so they repeat soon and may be 0. */
	if (!ike_v1_info_fresh(sa, p, len)) {
		vd_count("ike_v1.drop.info_replay", 1);
		return;
	}
	/* Answered where it came from, but it moves nobody: an old one may be a replay that is forgotten. */
	sa->heard = vd_now();
	for (unsigned i = 1; i < chain.n; i++) {
		if (chain.v[i].type == IKE_P_NOTIFY && (type = notify_take(sa, path, &chain.v[i])) != 0)
			told = type;
		else if (chain.v[i].type == IKE_P_DELETE)
			self |= delete_take(sa, &chain.v[i]);
	}
	struct ike_v1_peer *peer = sa->peer;
	if (self) {
		vd_note('p', peer->id, "the other side deleted its IKE SA");
		ike_v1_sa_free(sa, peer->dial != NULL ? "the gateway deleted its IKE SA" : "deleted by the client");
		return;
	}
	if (peer->dial != NULL)
		ike_v1_dial_wake(peer->dial);
	if (told == IKE_N_CONNECTED)
		ike_v1_quick_connected(sa);
	else if (told != 0) /* may be the end of the peer */
		ike_v1_quick_refused(sa, told);
}

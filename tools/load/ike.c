/* IKEv1 of a client: main mode, quick mode, rekeys, DPD, Deletes. The messages are those of tests/lib/ike_client.c. */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { X_MAIN = 2, X_INFO = 5, X_QUICK = 32 };
enum { P_SA = 1, P_ID = 5, P_NOTIFY = 11, P_DELETE = 12 };
#define R_U_THERE 36136u
#define FIRST_ERROR_ABOVE 16384u /* notifications below are errors: RFC 2408 section 3.14.1 */
#define RESEND_S 2.0
#define OLD_S 5.0

static struct client common; /* --fast-dh: its key pair is everybody's */

static void send_msg(struct load_client *c, const struct msg *m) { load_net_ike(c, m->p, m->len); }

/* Sends it, and again until it is answered (message 0: it is not). */
static void say(struct load_client *c, const struct msg *m, uint8_t message)
{
	struct load_kept *k = realloc(c->said, sizeof(*k) + m->len);

	if (!k)
		return;
	k->len = m->len;
	memcpy(k->p, m->p, m->len);
	c->said = k;
	c->message = message;
	c->tries = 1;
	load_due(c, DUE_IKE, RESEND_S);
	send_msg(c, m);
}

void load_ike_free(struct load_client *c)
{
	if (c->ike)
		client_free(c->ike);
	free(c->ike);
	free(c->said);
	c->ike = NULL;
	c->said = NULL;
}

void load_ike_start(struct load_client *c)
{
	const struct load_profile *p = load_opt.profile;
	struct client *ike = calloc(1, sizeof(*ike));
	struct msg m;

	if (!ike) {
		load_client_failed(c, "no memory");
		return;
	}
	c->ike = ike;
	client_init(ike, load_opt.psk, p->encr, p->bits, p->hash, p->group);
	ike->path.local = (struct vd_sa){ .ip = load_opt.to, .port = 500 };
	ike->path.remote = (struct vd_sa){ .ip = c->from, .port = 500 };
	/* Behind NAT everybody has the same private address. */
	if (!c->nat) {
		memcpy(ike->inside, c->from.a, 4);
		memcpy(ike->id + 4, c->from.a, 4);
	}
	ike->bad_natd_peer = ike->seen_id = c->nat;
	ike->windows = p->windows;
	ike->dpd = p->dpd;
	if (load_opt.fast_dh) {
		if (!common.group) {
			client_init(&common, "", p->encr, p->bits, p->hash, p->group);
			client_mm3(&common, &m);
		}
		ike->dh_of = &common;
	}
	client_mm1(ike, &m);
	say(c, &m, 1);
}

static uint32_t new_mid(void)
{
	uint32_t mid;

	do
		RAND_bytes((uint8_t *)&mid, sizeof(mid));
	while (mid == 0);
	return mid;
}

static void quick_start(struct load_client *c)
{
	const struct load_profile *p = load_opt.profile;
	struct msg m;

	client_qm1(c->ike, new_mid(), c->floated ? 4 : 2, p->esp, p->esp_bits, p->esp_auth, 0, 1701, &m);
	say(c, &m, 1);
}

void load_ike_rekey(struct load_client *c)
{
	if (c->message == 0)
		quick_start(c);
	load_due(c, DUE_REKEY, load_opt.rekey);
}

void load_ike_due(struct load_client *c)
{
	double wait = RESEND_S * (1 << (c->tries < 4 ? c->tries : 4));

	if (c->message == 0 || !c->said)
		return;
	if (c->state == LOAD_UP && c->tries > 5) {
		load_client_failed(c, "the gateway does not answer a rekey");
		return;
	}
	c->tries++;
	load_due(c, DUE_IKE, wait);
	load_net_ike(c, c->said->p, c->said->len);
}

/* ---- main mode ---- */
static void main_input(struct load_client *c, const struct msg *m)
{
	struct client *ike = c->ike;
	struct msg next;

	if (c->phase != LOAD_PHASE1)
		return; /* came twice */
	if (c->message == 1 && client_mm2(ike, m)) {
		client_mm3(ike, &next);
		say(c, &next, 3);
	} else if (c->message == 3 && memcmp(ike->rc, m->p + 8, 8) == 0 && client_mm4(ike, m)) {
		bool nat = c->nat || client_mm4_nat(ike, m);

		if (!load_opt.fast_dh)
			client_free(ike); /* the exponent is of no more use */
		if (nat && !load_net_float(c))
			return;
		client_mm5(ike, &next);
		say(c, &next, 5);
	} else if (c->message == 5 && client_mm6(ike, m)) {
		load_client_phase(c, LOAD_QUICK);
		quick_start(c);
	}
}

/* ---- quick mode ---- */
static void quick_input(struct load_client *c, const struct msg *m)
{
	struct client *ike = c->ike;
	uint8_t mid[4];
	struct msg third;

	for (unsigned i = 0; i < 4; i++)
		mid[i] = (uint8_t)(ike->mid >> (24 - 8 * i));
	if (memcmp(mid, m->p + 20, 4) != 0)
		return; /* begun by the gateway */
	if (c->message == 0) {
		if (c->said && memcmp(c->seen, m->p + m->len - sizeof(c->seen), sizeof(c->seen)) == 0)
			load_net_ike(c, c->said->p, c->said->len); /* message 3 did not arrive */
		return;
	}
	if (!client_qm2(ike, m, load_esp_keymat()))
		return;
	memcpy(c->seen, m->p + m->len - sizeof(c->seen), sizeof(c->seen));
	client_qm3(ike, &third);
	say(c, &third, 0);
	load_due(c, DUE_IKE, 0);
	load_ike_old(c);
	c->in[1] = c->in[0];
	load_esp_keys(&c->in[0], ike->spi_i, ike->keymat_out);
	load_esp_keys(&c->out, ike->spi_r, ike->keymat_in);
	if (c->phase == LOAD_QUICK && c->state == LOAD_DIALLING) {
		load_client_phase(c, LOAD_L2TP);
		if (load_opt.attack == LOAD_ATTACK_KEY)
			load_attack_key(c);
		else
			load_l2tp_start(c);
		return;
	}
	load_stats.rekeys++;
	load_due(c, DUE_OLD, OLD_S);
}

/* ---- what is told ---- */
static void inform(struct load_client *c, uint8_t type, const void *body, size_t len)
{
	struct msg m;

	client_info(c->ike, new_mid(), type, body, len, &m);
	send_msg(c, &m);
}

static void delete_esp(struct load_client *c, uint32_t spi)
{
	uint8_t body[12];
	struct vd_wr w;

	vd_wr_init(&w, body, sizeof(body));
	vd_wr_put(&w, "\0\0\0\1\3\4\0\1", 8);
	vd_wr_u32(&w, spi);
	inform(c, P_DELETE, body, w.len);
}

void load_ike_old(struct load_client *c)
{
	if (c->in[1].spi == 0)
		return;
	delete_esp(c, c->in[1].spi);
	c->in[1].spi = 0;
}

void load_ike_goodbye(struct load_client *c)
{
	uint8_t body[24] = { 0, 0, 0, 1, 1, 16, 0, 1 };

	if (!c->ike || c->phase <= LOAD_PHASE1)
		return;
	load_ike_old(c);
	if (c->in[0].spi)
		delete_esp(c, c->in[0].spi);
	memcpy(body + 8, c->ike->ic, 8);
	memcpy(body + 16, c->ike->rc, 8);
	inform(c, P_DELETE, body, sizeof(body));
}

static const char *notify_name(unsigned type, char *room, size_t size)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = { { 4, "INVALID-COOKIE" }, { 9, "INVALID-MESSAGE-ID" }, { 14, "NO-PROPOSAL-CHOSEN" },
		{ 16, "PAYLOAD-MALFORMED" }, { 18, "INVALID-ID-INFORMATION" }, { 23, "INVALID-HASH-INFORMATION" },
		{ 24, "AUTHENTICATION-FAILED" } };

	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(room, size, "notification %u", type);
	return room;
}

/* A notification's or Delete's body. */
static void told(struct load_client *c, uint8_t type, const uint8_t *p, size_t len, bool sealed)
{
	char room[32];
	struct vd_rd r;

	vd_rd_init(&r, p, len);
	vd_rd_u32(&r); /* DOI */
	uint8_t protocol = vd_rd_u8(&r), spi_len = vd_rd_u8(&r);
	uint16_t n = vd_rd_u16(&r); /* type of a notification, count of a Delete */
	if (!vd_rd_ok(&r))
		return;
	if (type == P_NOTIFY && n == R_U_THERE && sealed) {
		uint8_t ack[32];

		if (len > sizeof(ack))
			return;
		memcpy(ack, p, len);
		ack[7]++; /* R-U-THERE-ACK */
		load_stats.dpd++;
		inform(c, P_NOTIFY, ack, len);
	} else if (type == P_NOTIFY && n < FIRST_ERROR_ABOVE && c->state == LOAD_DIALLING) {
		load_client_failed(c, "%s: the gateway says %s", c->phase == LOAD_PHASE1 ? "phase 1" : "quick mode",
			notify_name(n, room, sizeof(room)));
	} else if (type == P_DELETE && protocol == 3 && spi_len == 4 && sealed) {
		while (n-- > 0 && vd_rd_left(&r) >= 4)
			if (vd_rd_u32(&r) == c->out.spi && c->state != LOAD_ENDING) {
				c->out.spi = 0; /* nothing more can be said */
				load_client_failed(c, "the gateway deleted the ESP SA");
				return;
			}
	} else if (type == P_DELETE && protocol == 1 && sealed && c->state == LOAD_DIALLING) {
		load_client_failed(c, "the gateway deleted the IKE SA");
	}
}

static void info_input(struct load_client *c, const struct msg *in)
{
	struct msg m = *in;
	uint8_t type;
	size_t len;

	if (!(m.p[19] & 1)) {
		/* Not protected: believed only while there is nothing to protect it with. */
		if (c->phase == LOAD_PHASE1 && m.p[16] == P_NOTIFY && m.len > 32)
			told(c, P_NOTIFY, m.p + 32, m.len - 32, false);
		return;
	}
	if (c->phase == LOAD_PHASE1 || m.len < 60)
		return;
	const uint8_t *p = client_info_open(c->ike, &m, &type, &len);
	if (p)
		told(c, type, p, len, true);
}

void load_ike_input(struct load_client *c, const uint8_t *p, size_t len)
{
	struct msg m;

	if (!c->ike || len < 28 || len > sizeof(m.p) || memcmp(p, c->ike->ic, 8) != 0)
		return;
	memcpy(m.p, p, len);
	m.len = len;
	if (p[18] == X_MAIN)
		main_input(c, &m);
	else if (p[18] == X_QUICK && c->phase > LOAD_PHASE1 && len >= 60)
		quick_input(c, &m);
	else if (p[18] == X_INFO)
		info_input(c, &m);
}

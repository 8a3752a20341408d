/* The robot's IKE, and its clock. */
#include "tests/scenario/robot.h"

#include <check.h>
#include <string.h>

#define RESEND_MS 1000

void robot_init(struct robot *r, unsigned index, const char *user, const char *password, bool nat)
{
	memset(r, 0, sizeof(*r));
	r->user = user;
	r->password = password;
	r->nat = nat;
	/* 198.51.100.7 is the NAT; who has an address of his own is at 203.0.113.x. */
	r->at = (struct vd_sa){ .ip = vd_ip4(nat ? 0xc6336407 : 0xcb007114 + index), .port = (uint16_t)(nat ? 1024 + index : 500) };
	r->at4500 = r->at;
	r->at4500.port = (uint16_t)(nat ? 20000 + index : 4500);
	r->tid = 1; /* all the same: nothing but their SAs tells them apart */
	r->sid = 1;
	r->mids = 0x1000;
}

void robot_free(struct robot *r)
{
	client_free(&r->ike[0].c);
	client_free(&r->ike[1].c);
}

bool robot_is_at(const struct robot *r, const struct vd_sa *sa)
{
	return vd_ip_equal(&r->at.ip, &sa->ip) && (sa->port == 0 || sa->port == r->at.port || sa->port == r->at4500.port);
}

static void to_4500(struct robot *r, struct client *c)
{
	if (!r->nat)
		return;
	c->path.local.port = 4500;
	c->path.remote = r->at4500;
	c->path.natt = true;
}

static void send_ike(const struct client *c, const struct msg *m)
{
	uint8_t out[4 + sizeof(m->p)] = { 0 };

	memcpy(out + 4, m->p, m->len);
	if (c->path.natt)
		wire_up(&c->path, out, m->len + 4);
	else
		wire_up(&c->path, m->p, m->len);
}

void robot_ike_send(const struct robot *r, const struct msg *m)
{
	send_ike(&r->ike[0].c, m);
}

static void send_main(struct robot *r, struct robot_ike *ike)
{
	r->ike_due = r->clock + RESEND_MS;
	send_ike(&ike->c, &ike->last);
}

static void main_mode(struct robot *r, struct robot_ike *ike, const char *psk, bool first)
{
	if (r->stock)
		client_init(&ike->c, psk, 7, 256, 4, r->group ? r->stock->aggressive : 14);
	else if (r->old)
		client_init(&ike->c, psk, 5, 0, 2, 2);
	else
		client_init(&ike->c, psk, 7, 256, 4, 14);
	ike->c.windows = r->windows;
	ike->c.dpd = r->dpd;
	ike->c.auth = r->xauth.kind ? 65001 : 0;
	vd_ip_parse("192.0.2.1", &ike->c.path.local.ip);
	ike->c.path.remote = r->at;
	ike->c.bad_natd_peer = r->nat;
	if (!first)
		to_4500(r, &ike->c); /* RFC 3947 section 4: a rekey stays there */
	if (r->group) {
		ike->c.id_len = 4 + strlen(r->group);
		memcpy(ike->c.id, "\x0b\0\0\0", 4); /* ID_KEY_ID */
		memcpy(ike->c.id + 4, r->group, ike->c.id_len - 4);
		ike->state = ROBOT_AM2;
		if (r->stock)
			stock_am1(r->stock, &ike->c, &ike->last);
		else
			client_am1(&ike->c, &ike->last);
	} else {
		ike->state = ROBOT_MM2;
		if (r->stock)
			stock_mm1(r->stock, &ike->c, &ike->last);
		else
			client_mm1(&ike->c, &ike->last);
	}
	send_main(r, ike);
}

void robot_dial(struct robot *r, const char *psk)
{
	main_mode(r, &r->ike[0], psk, true);
}

void robot_phase1(struct robot *r)
{
	ck_assert_int_eq(r->ike[1].state, ROBOT_NO_IKE);
	main_mode(r, &r->ike[1], r->ike[0].c.psk, false);
}

bool robot_phase1_done(const struct robot *r)
{
	return r->ike[0].state == ROBOT_IKE_UP && r->ike[1].state == ROBOT_NO_IKE &&
		(!r->xauth.kind || (r->xauth.passed && r->xauth.pull.len == 0));
}

void robot_quick(struct robot *r)
{
	struct client *c = &r->ike[0].c;
	unsigned encap = (r->nat ? 4u : 2u) - (r->tunnel || r->xauth.kind);

	if (r->xauth.kind)
		memcpy(c->tunnel, r->address, 4);
	r->quick = true;
	if (r->stock)
		stock_qm1(r, encap);
	else if (r->old)
		client_qm1(c, ++r->mids, encap, 3, 0, 2, 0, 1701, &r->qm1);
	else if (r->gcm)
		client_qm1(c, ++r->mids, encap, 20, 256, 0, 0, 1701, &r->qm1);
	else
		client_qm1(c, ++r->mids, encap, 12, 256, 5, 0, 1701, &r->qm1);
	r->ike_due = r->clock + RESEND_MS;
	send_ike(c, &r->qm1);
}

bool robot_quick_done(const struct robot *r)
{
	return !r->quick;
}

static void main_up(struct robot *r, struct robot_ike *ike)
{
	ike->state = ROBOT_IKE_UP;
	if (ike == &r->ike[1]) { /* the successor takes over */
		client_free(&r->ike[0].c);
		r->ike[0] = r->ike[1];
		memset(&r->ike[1], 0, sizeof(r->ike[1]));
	} else if (!r->xauth.kind) {
		robot_quick(r);
	}
	if (r->xauth.kind)
		robot_xauth_begin(r);
}

static void main_input(struct robot *r, struct robot_ike *ike, const struct msg *m)
{
	struct client *c = &ike->c;

	if (m->p[18] == 4) {
		bool again = ike->state == ROBOT_IKE_UP && ike->am2_len == m->len;

		if (!again && (ike->state != ROBOT_AM2 || !client_am2(c, m)))
			return;
		ike->am2_len = m->len;
		if (!again) {
			to_4500(r, c);
			client_am3(c, true, &ike->last);
		}
		send_ike(c, &ike->last);
		if (!again)
			main_up(r, ike);
		return;
	}
	if (ike->state == ROBOT_MM2 && client_mm2(c, m)) {
		if (r->stock)
			ck_assert_msg(client_mm2_chosen(c, m), "%s: the answer has another transform", r->stock->name);
		ike->state = ROBOT_MM4;
		client_mm3(c, &ike->last);
	} else if (ike->state == ROBOT_MM4 && client_mm4(c, m)) {
		ike->state = ROBOT_MM6;
		to_4500(r, c);
		client_mm5(c, &ike->last);
	} else if (ike->state == ROBOT_MM6 && client_mm6(c, m)) {
		main_up(r, ike);
		return;
	} else {
		return; /* came twice, or is not from where we think */
	}
	send_main(r, ike);
}

static void quick_input(struct robot *r, const struct msg *m)
{
	struct client *c = &r->ike[0].c;

	if (r->qm2.len == m->len && memcmp(r->qm2.p, m->p, m->len) == 0) {
		send_ike(c, &r->qm3); /* it did not arrive */
		return;
	}
	if (!r->quick || !client_qm2(c, m, robot_keymat(r)))
		return;
	r->quick = false;
	r->qm2 = *m;
	if (r->stock)
		ck_assert_msg(c->esp_unchanged, "%s: the answer has another transform", r->stock->name);
	client_qm3(c, &r->qm3);
	send_ike(c, &r->qm3);
	memmove(r->in + 1, r->in, sizeof(r->in) - sizeof(r->in[0]));
	robot_keys(r, &r->in[0], c->spi_i, c->keymat_out);
	robot_keys(r, &r->out, c->spi_r, c->keymat_in);
	if (!r->xauth.kind)
		robot_l2tp_start(r);
	else if (r->xauth.wants_split)
		robot_xauth_next(r);
}

static void inform(struct robot *r, uint8_t type, const void *body, size_t len)
{
	struct msg m;

	client_info(&r->ike[0].c, 0x40000000u + ++r->mids, type, body, len, &m);
	send_ike(&r->ike[0].c, &m);
}

static void info_input(struct robot *r, const struct msg *in)
{
	struct msg m = *in;
	uint8_t type;
	size_t len;

	if (!(m.p[19] & 1))
		return; /* nobody believes what is not encrypted */
	const uint8_t *p = client_info_open(&r->ike[0].c, &m, &type, &len);
	ck_assert_ptr_nonnull(p);
	if (type == 12 && p[4] == 3)
		r->deletes_esp++;
	else if (type == 12)
		r->deletes_ike++;
	else if (type == 11 && len >= 28 && p[6] == (36137 >> 8) && p[7] == (36137 & 255) && p[27] == (r->dpd_seq & 255))
		r->dpd_acks++;
	else if (type == 11 && len >= 28 && p[6] == (36136 >> 8) && p[7] == (36136 & 255)) {
		uint8_t body[28];

		r->dpd_asked++;
		memcpy(body, p, sizeof(body));
		body[7] = 36137 & 255;
		inform(r, 11, body, sizeof(body));
	}
}

void robot_receive(struct robot *r, bool ike, const struct vd_path *path, const uint8_t *p, size_t len)
{
	struct msg m;

	if (r->silent || (ike && len == 1))
		return;
	if (!ike) {
		ck_assert(path->remote.port == (r->nat ? r->at4500.port : 0));
		robot_esp_receive(r, p, len);
		return;
	}
	if (path->natt) {
		ck_assert_mem_eq(p, "\0\0\0\0", 4);
		p += 4;
		len -= 4;
	}
	ck_assert_uint_ge(len, 28);
	ck_assert_uint_le(len, sizeof(m.p));
	memcpy(m.p, p, len);
	m.len = len;
	for (unsigned i = 0; i < 2; i++) {
		if (r->ike[i].state == ROBOT_NO_IKE || memcmp(r->ike[i].c.ic, p, 8) != 0)
			continue;
		if (p[18] == 2 || p[18] == 4)
			main_input(r, &r->ike[i], &m);
		else if (p[18] == 32 && i == 0)
			quick_input(r, &m);
		else if (p[18] == 6 && i == 0 && r->ike[0].state == ROBOT_IKE_UP)
			robot_xauth_input(r, &m);
		else if (p[18] == 5 && i == 0 && r->ike[0].state == ROBOT_IKE_UP)
			info_input(r, &m);
		return;
	}
}

void robot_time(struct robot *r, uint64_t ms)
{
	r->clock += ms;
	if (r->silent)
		return;
	if (r->clock >= r->ike_due) {
		r->ike_due = r->clock + RESEND_MS;
		for (unsigned i = 0; i < 2; i++)
			if (r->ike[i].state != ROBOT_NO_IKE && r->ike[i].state != ROBOT_IKE_UP)
				send_main(r, &r->ike[i]);
		if (r->quick)
			send_ike(&r->ike[0].c, &r->qm1);
		robot_xauth_time(r);
	}
	robot_l2tp_time(r);
	robot_ppp_time(r);
}

void robot_dpd(struct robot *r)
{
	uint8_t body[28] = { 0, 0, 0, 1, 1, 16, 36136 >> 8, 36136 & 255 };

	memcpy(body + 8, r->ike[0].c.ic, 8);
	memcpy(body + 16, r->ike[0].c.rc, 8);
	body[27] = (uint8_t)++r->dpd_seq;
	inform(r, 11, body, sizeof(body));
}

void robot_delete_esp(struct robot *r, bool all)
{
	for (unsigned i = all ? 0 : 1; i < VD_ARRAY_SIZE(r->in); i++) {
		uint8_t body[12] = { 0, 0, 0, 1, 3, 4, 0, 1 };

		if (!r->in[i].live)
			continue;
		for (unsigned k = 0; k < 4; k++)
			body[8 + k] = (uint8_t)(r->in[i].spi >> (24 - 8 * k));
		r->in[i].live = false;
		inform(r, 12, body, sizeof(body));
	}
	if (all)
		r->out.live = false;
}

void robot_delete_ike(struct robot *r)
{
	uint8_t body[24] = { 0, 0, 0, 1, 1, 16, 0, 1 };

	memcpy(body + 8, r->ike[0].c.ic, 8);
	memcpy(body + 16, r->ike[0].c.rc, 8);
	inform(r, 12, body, sizeof(body));
}

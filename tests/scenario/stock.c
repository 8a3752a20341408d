/* Stock clients: IKE and L2TP. */
#include "tests/scenario/stock.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/bytes.h>

#include "tests/scenario/robot.h"

static size_t hex(const char *text, uint8_t *p, size_t size)
{
	int n = text ? vd_unhex(text, p, size) : 0;

	ck_assert_msg(n >= 0, "not hexadecimal: %s", text);
	return (size_t)n;
}

static size_t put(uint8_t *p, size_t n, size_t bytes, uint32_t v)
{
	for (size_t i = 0; i < bytes; i++)
		p[n + i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	return n + bytes;
}

const struct stock *stock_find(const char *name)
{
	for (unsigned i = 0; i < n_stocks; i++)
		if (strcmp(stocks[i].name, name) == 0)
			return &stocks[i];
	return NULL;
}

/* ---- IKE ---- */
/* The SA payload's body; of racoon's transforms, where the group is last, only those with this one. */
static size_t phase1_sa(const struct stock *s, unsigned group, uint8_t *sa, size_t size)
{
	size_t n = put(sa, 0, 4, 1), last = 0, n_transforms = 0;
	char end[12];

	snprintf(end, sizeof(end), "8004%04x", group);
	n = put(sa, n, 4, 1);
	n = put(sa, n, 4, 0); /* its length is below */
	n = put(sa, n, 4, 0);
	for (size_t i = 0; s->ike[i]; i++) {
		size_t at = n;

		if (group && strcmp(s->ike[i] + strlen(s->ike[i]) - 8, end) != 0)
			continue;
		last = at;
		n = put(sa, n, 4, 0x03000000);
		n = put(sa, n, 4, 0x00010000u | (uint32_t)++n_transforms << 24);
		n += hex(s->ike[i], sa + n, size - n);
		put(sa, at + 2, 2, (uint32_t)(n - at));
	}
	ck_assert_uint_gt(n_transforms, 0);
	sa[last] = 0;
	put(sa, 10, 2, (uint32_t)(n - 8));
	put(sa, 12, 4, 0x01010000u | (uint32_t)n_transforms);
	return n;
}

void stock_am1(const struct stock *s, struct client *c, struct msg *m)
{
	uint8_t sa[1600], vendors[640];
	size_t n = 0;

	for (size_t i = 0; s->vendors[i]; i++) {
		size_t at = n;

		n = put(vendors, n, 4, s->vendors[i + 1] ? 13u << 24 : 0);
		n += hex(s->vendors[i], vendors + n, sizeof(vendors) - n);
		put(vendors, at + 2, 2, (uint32_t)(n - at));
	}
	client_am1_sa(c, sa, phase1_sa(s, s->aggressive, sa, sizeof(sa)), vendors, n, m);
}

void stock_mm1(const struct stock *s, struct client *c, struct msg *m)
{
	uint8_t sa[1600], bodies[24][32];
	const uint8_t *vendors[24];
	size_t lens[24], n = phase1_sa(s, 0, sa, sizeof(sa)), n_vendors = 0;

	for (; s->vendors[n_vendors]; n_vendors++) {
		ck_assert_uint_lt(n_vendors, VD_ARRAY_SIZE(vendors));
		vendors[n_vendors] = bodies[n_vendors];
		lens[n_vendors] = hex(s->vendors[n_vendors], bodies[n_vendors], sizeof(bodies[0]));
	}
	client_mm1_sa(c, sa, n, vendors, lens, n_vendors, m);
}

/* attributes with the encapsulation mode in place of "EE". */
static size_t transform2(const struct stock_esp *t, unsigned number, bool last, unsigned encap, uint8_t *p, size_t size)
{
	char text[256], octet[3];
	size_t n = put(p, 0, 4, last ? 0 : 0x03000000);

	ck_assert_uint_lt(strlen(t->attributes), sizeof(text));
	strcpy(text, t->attributes);
	char *place = strstr(text, "EE");
	ck_assert_ptr_nonnull(place);
	snprintf(octet, sizeof(octet), "%02x", encap & 255);
	memcpy(place, octet, 2);
	n = put(p, n, 1, number);
	n += hex(t->id, p + n, size - n);
	n = put(p, n, 2, 0);
	n += hex(text, p + n, size - n);
	put(p, 2, 2, (uint32_t)n);
	return n;
}

void stock_qm1(struct robot *r, unsigned encap)
{
	const struct stock *s = r->stock;
	struct client *c = &r->ike[0].c;
	uint8_t sa[1024];
	size_t n = put(sa, 0, 4, 1), count = 0;

	while (s->esp[count].id)
		count++;
	n = put(sa, n, 4, 1);
	for (size_t i = 0; i < (s->each ? count : 1); i++) {
		size_t at = n;

		n = put(sa, n, 4, s->each && i + 1 < count ? 0x02000000 : 0);
		n = put(sa, n, 4, (uint32_t)(i + 1) << 24 | 0x00030400u | (s->each ? 1 : (uint32_t)count));
		n = put(sa, n, 4, 0); /* the SPI */
		for (size_t k = 0; k < (s->each ? 1 : count); k++)
			n += transform2(&s->esp[s->each ? i : k], (unsigned)k + 1, s->each || k + 1 == count, encap, sa + n,
				sizeof(sa) - n);
		put(sa, at + 2, 2, (uint32_t)(n - at));
	}
	c->natoa = s->natoa && r->nat;
	client_qm1_sa(c, ++r->mids, sa, n, s->pfs, s->idci_port, &r->qm1);
}

/* ---- L2TP ---- */
size_t stock_octets(const struct robot *r, const char *text, uint8_t *p, size_t size)
{
	char copy[1024], id[5];
	char *place;

	if (!text)
		return 0;
	ck_assert_uint_lt(strlen(text), sizeof(copy));
	strcpy(copy, text);
	snprintf(id, sizeof(id), "%04x", r->tid);
	while ((place = strstr(copy, "TTTT")))
		memcpy(place, id, 4);
	snprintf(id, sizeof(id), "%04x", r->sid);
	while ((place = strstr(copy, "SSSS")))
		memcpy(place, id, 4);
	return hex(copy, p, size);
}

size_t stock_avps(struct robot *r, unsigned type, uint8_t *p, size_t n)
{
	const struct stock *s = r->stock;
	const char *text = type == 1 ? s->sccrq : type == 3 ? s->scccn : type == 4 ? s->stopccn : type == 10 ? s->icrq :
		type == 12 ? s->iccn : type == 14 ? s->cdn : NULL;

	return n + stock_octets(r, text, p + n, 1024);
}

void stock_strict(const struct robot *r, const uint8_t *p, size_t len)
{
	static const uint8_t sizes[] = { [0] = 8, [2] = 8, [3] = 10, [9] = 8, [10] = 8, [14] = 8 };
	const char *who = r->stock->name;
	uint64_t seen = 0;
	unsigned type = 0;

	ck_assert_msg(p[0] == 0xc8 && p[1] == 0x02 && ((size_t)p[2] << 8 | p[3]) == len, "%s: flags or length", who);
	for (size_t at = 12; at < len;) {
		unsigned bits = (unsigned)p[at] << 8 | p[at + 1], n = bits & 0x3ff;
		unsigned vendor = (unsigned)p[at + 2] << 8 | p[at + 3], attribute = (unsigned)p[at + 4] << 8 | p[at + 5];

		ck_assert_msg(n >= 6 && at + n <= len && !(bits & 0x7c00) && vendor == 0, "%s: AVP at %zu", who, at);
		ck_assert_msg(attribute < VD_ARRAY_SIZE(sizes), "%s: AVP %u is not the RFC's minimum", who, attribute);
		ck_assert_msg(sizes[attribute] == 0 || sizes[attribute] == n, "%s: length of AVP %u", who, attribute);
		if (at == 12) {
			ck_assert_msg(attribute == 0 && bits & 0x8000, "%s: the first AVP is %u", who, attribute);
			type = (unsigned)p[at + 6] << 8 | p[at + 7];
		}
		seen |= UINT64_C(1) << attribute;
		at += n;
	}
	if (type == 2)
		ck_assert_msg((seen & 0x28c) == 0x28c, "%s: SCCRP lacks an AVP", who);
	if (type == 11)
		ck_assert_msg(seen & 1u << 14, "%s: ICRP lacks its session id", who);
}

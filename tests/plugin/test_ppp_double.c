/* The test's session, channel, lower layer and layer registry. The one account is that of RFC 2759 section 9.2. */
#include "test_ppp_double.h"

#include <viaduct/log.h>
#include <viaduct/loop.h>

#include <stdio.h>
#include <string.h>
#include <errno.h>

struct double_state d;

static const uint8_t vector_response[24] = { 0x82, 0x30, 0x9e, 0xcd, 0x8d, 0x70, 0x8b, 0x5e, 0xa0, 0x8f, 0xaa, 0x39, 0x81,
	0xcd, 0x83, 0x54, 0x42, 0x33, 0x11, 0x4a, 0x3d, 0x85, 0xd6, 0xdf };
static const uint8_t vector_peer[16] = { 0x21, 0x40, 0x23, 0x24, 0x25, 0x5e, 0x26, 0x2a, 0x28, 0x29, 0x5f, 0x2b, 0x3a,
	0x33, 0x7c, 0x7e };

static int lower_send(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	(void)arg;
	if (session != SESSION || d.n_out == VD_ARRAY_SIZE(d.out) || len > sizeof(d.out[0].p))
		return -ENOBUFS;
	memcpy(d.out[d.n_out].p, p, len);
	d.out[d.n_out++].len = len;
	return 0;
}

static void lower_header(void *arg, uint64_t session, struct vd_hdr *ret_hdr)
{
	(void)arg;
	(void)session;
	*ret_hdr = (struct vd_hdr){ .len = 16, .udp_len = 4, .udp_from = 0, .l2tp_len = 10, .l2tp_from = 8 };
	for (unsigned i = 0; i < 16; i++)
		ret_hdr->bytes[i] = (uint8_t)(0xa0 + i);
}

static void lower_closed(void *arg, uint64_t session, const char *reason)
{
	(void)arg;
	(void)session;
	d.lower_closed++;
	vd_strcpy(d.reason, sizeof(d.reason), reason);
}

const struct vd_link_lower double_lower = { lower_send, lower_header, lower_closed };

void double_reset(void)
{
	memset(&d, 0, sizeof(d));
	d.session.id = SESSION;
	d.session.chan = 9;
	d.session.peer = 7;
	vd_ip_parse("10.8.0.23", &d.session.lease4.address);
	vd_ip_parse("10.8.0.1", &d.session.lease4.gateway);
	vd_ip_parse("10.1.0.53", &d.session.lease4.dns[0]);
	vd_ip_parse("10.1.0.54", &d.session.lease4.dns[1]);
	d.chan.id = 9;
	d.chan.mtu = 1416;
}

/* ---- datapath/1 ---- */
static int session_punt(void *self, uint64_t session, void (*punt)(void *, uint64_t, const uint8_t *, size_t), void *arg)
{
	(void)self;
	(void)session;
	d.punt = punt;
	d.punt_arg = arg;
	return 0;
}

static int session_counters(void *self, uint64_t session,
	void (*done)(void *, uint64_t, const struct vd_session_counters *), void *arg)
{
	(void)self;
	done(arg, session, &d.counters);
	return 0;
}

const struct vd_datapath_1 *double_datapath(void)
{
	static struct vd_datapath_1 dp;

	dp.session_punt = session_punt;
	dp.session_counters = session_counters;
	return &dp;
}

/* ---- the core ---- */
struct vd_session *vd_session_find(uint64_t id)
{
	return id == SESSION ? &d.session : NULL;
}

struct vd_chan_info *vd_chan_find(uint64_t id)
{
	return id == 9 ? &d.chan : NULL;
}

void vd_note(char letter, uint64_t id, const char *fmt, ...)
{
	size_t n = strlen(d.notes);
	va_list ap;

	(void)letter;
	(void)id;
	va_start(ap, fmt);
	vsnprintf(d.notes + n, sizeof(d.notes) - n, fmt, ap);
	va_end(ap);
	n = strlen(d.notes);
	vd_strcpy(d.notes + n, sizeof(d.notes) - n, "\n");
}

void vd_session_close(uint64_t session, const char *reason, bool by_owner)
{
	(void)session;
	(void)by_owner;
	if (!d.closed++)
		vd_strcpy(d.session.reason, sizeof(d.session.reason), reason);
}

static void run_auth(void *arg)
{
	struct vd_answer answer = { .verdict = VD_REJECT };
	struct vd_authenticated who = { .user = "User" };
	void (*done)(void *, uint64_t, const struct vd_answer *) = d.auth_done;

	(void)arg;
	if (!done)
		return;
	d.auth_done = NULL;
	if (d.unavailable)
		answer.verdict = VD_UNAVAILABLE;
	else if ((strcmp(d.request.user, "User") == 0 || strcmp(d.request.user, "CORP\\User") == 0) &&
		memcmp(d.request.response, vector_response, 24) == 0 && memcmp(d.request.peer_challenge, vector_peer, 16) == 0) {
		answer.verdict = VD_ACCEPT;
		answer.data = &who;
		vd_strcpy(who.authenticator, sizeof(who.authenticator), "S=407A5589115FD0D6209F510FE9C04566932CDA56");
	}
	done(d.auth_arg, SESSION, &answer);
}

void double_answer_auth(void)
{
	run_auth(NULL);
}

int vd_session_authenticate(uint64_t session, struct vd_authenticate *request, uint64_t conversation,
	void (*done)(void *arg, uint64_t session, const struct vd_answer *answer), void *arg)
{
	(void)conversation;
	if (session != SESSION)
		return -ENOENT;
	if (d.auth_done)
		return -EBUSY;
	d.asked++;
	d.request = *request;
	d.auth_done = done;
	d.auth_arg = arg;
	return d.hold_auth ? 0 : vd_defer(run_auth, NULL);
}

static void run_configure(void *arg)
{
	struct vd_error err = { .code = -ENOSPC, .text = "the pool is empty" };
	void (*done)(void *, uint64_t, const char *, const struct vd_error *) = d.configure_done;

	(void)arg;
	d.configure_done = NULL;
	if (done)
		done(d.configure_arg, SESSION, d.no_address ? "address" : NULL, d.no_address ? &err : NULL);
}

void double_answer_configure(void)
{
	run_configure(NULL);
}

int vd_session_configure(uint64_t session, bool want4,
	void (*configured)(void *arg, uint64_t session, const char *stage, const struct vd_error *err), void *arg)
{
	(void)session;
	if (!want4)
		return -EINVAL;
	d.configured++;
	d.configure_done = configured;
	d.configure_arg = arg;
	return d.hold_configure ? 0 : vd_defer(run_configure, NULL);
}

static void (*establish_done)(void *arg, uint64_t session, const struct vd_error *err);
static void *establish_arg;

static void run_establish(void *arg)
{
	(void)arg;
	establish_done(establish_arg, SESSION, NULL);
}

int vd_session_establish(uint64_t session, const struct vd_wsess_desc *link,
	void (*done)(void *arg, uint64_t session, const struct vd_error *err), void *arg)
{
	(void)session;
	d.established++;
	d.desc = *link;
	establish_done = done;
	establish_arg = arg;
	return vd_defer(run_establish, NULL);
}

int vd_layer_register(struct vd_host *host, const struct vd_layer *layer, void *self)
{
	(void)host;
	d.layer = layer;
	d.layer_self = self;
	return 0;
}

/* ---- workers ---- */
void vd_pkt_drop(struct vd_worker *w, struct vd_pkt *pkt, enum vd_drop why)
{
	(void)w;
	(void)pkt;
	d.dropped[why]++;
}

bool vd_worker_session_up(const struct vd_worker *w, uint32_t sess)
{
	(void)w;
	return sess && d.worker_up;
}

void vd_worker_punt(struct vd_worker *w, const struct vd_chan *chan, struct vd_pkt *pkt)
{
	(void)w;
	(void)chan;
	d.punted++;
	d.last = *pkt;
}

void vd_inner_in(struct vd_worker *w, struct vd_vec *vec)
{
	(void)w;
	d.inner += vec->n;
	d.last = vec->v[vec->n - 1];
}
